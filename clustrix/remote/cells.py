"""In a job that runs a notebook's cell: which of its variables can go back to the notebook."""

import sys
from typing import Any, Dict, Tuple

from . import wire

__all__ = ["VALUE", "what_comes_back"]

VALUE = "_"  # the name of what the cell's last line gives, as in the notebook


def what_comes_back(variables: Dict[str, Any], client: Tuple[int, int]) -> Dict[str, Any]:
    """Those of ``variables`` that a client of that Python can be sent; the others are named on stderr, and why."""
    found = {}
    for name, value in variables.items():
        root = "the value of the last line" if name == VALUE else name
        try:
            wire.dump_pieces(value, root=root, target=client)
        except wire.WireError as error:
            sys.stderr.write("clustrix: does not come back from the job: %s\n" % error)
        else:
            found[name] = value
    return found
