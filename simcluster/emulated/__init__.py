"""The backend without containers: an SSH server, a scheduler and processes of this machine."""
