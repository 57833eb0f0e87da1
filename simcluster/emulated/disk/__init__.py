"""The shared directories of a cluster whose disk is full, limited or stale: a FUSE file system over the real ones.

What the machines write goes into the real directories at once, so that nothing has to be brought back afterwards.
"""
