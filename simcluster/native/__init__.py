"""The backend of this machine's own Slurm: its daemons as private processes, on the machines of the emulated backend."""
