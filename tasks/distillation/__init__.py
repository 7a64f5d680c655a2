"""Knowledge distillation: teachers' outputs in a file, and students that learn from it."""
