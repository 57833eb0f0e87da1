"""What runs on a machine of an emulated cluster: the parent of all its processes.

A program of its own: standard library only, and nothing of the rest of simcluster. It is run by `python -I -S -E`.
"""
