"""One label for one or two texts."""
