"""What stands first on the path of commands that may be served: `sitecustomize`, which Python imports before anything else."""
