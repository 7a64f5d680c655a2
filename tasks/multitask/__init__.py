"""Many tasks on one body: mixtures, their order, and learning from teachers."""
