"""What a job script runs: it stands beside the unpacked agent, so its own directory makes the agent importable."""

import sys

from clustrix_remote.hints import without_typing  # type: ignore[import-not-found]

# Beside the job's directory an element of an array gets its name.
with without_typing():
    if len(sys.argv) > 2:
        from clustrix_remote.element import main  # type: ignore[import-not-found]
    else:
        from clustrix_remote.runner import main  # type: ignore[import-not-found]

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
