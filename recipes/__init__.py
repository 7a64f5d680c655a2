"""What people run: the command line, recipes, the miniature world, the benchmark. Nothing imports this folder."""
