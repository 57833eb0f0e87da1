"""What the backends with a real Slurm share: its configuration, and how its records are read."""
