"""What the jobs of test_site_settings.py run: 3.6 grammar, nothing but the standard library at import."""

import os
import sys
import time


def version():
    return sys.version_info[:2]


def prefix():
    return sys.prefix


def variables(*names):
    return {name: os.environ.get(name) for name in names}


def uses_a_library():
    import click
    import yaml

    return click.__name__ + yaml.__name__


def waits_for(begun, gate):
    """The job's token, once the gate is there."""
    with open(begun, "w"):  # noqa: PTH123 - begun is text in every Python
        pass
    while not os.path.exists(gate):  # noqa: PTH110 - likewise
        time.sleep(0.05)
    return os.environ["TOKEN"]
