"""Multiple choice: of several candidates one is right; one output of a shared head scores each."""
