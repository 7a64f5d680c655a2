"""`relexify run`: a recipe of many cells -> a plan of relexify commands -> Snakemake."""
