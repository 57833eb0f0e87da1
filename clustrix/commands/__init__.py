"""The commands of ``clustrix``, a file for each group of them.

They import what they need when they are called: ``--help`` and completion in a shell wait for click alone.
"""
