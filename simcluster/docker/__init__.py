"""The backend that runs containers on a Docker engine."""
