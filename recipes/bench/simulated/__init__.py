"""A folder for Snakemake's search path: its executor `simulated`, for the benchmark of scheduling and for tests."""
