"""What the jobs of test_site_settings.py run: 3.6 grammar, nothing but the standard library at import."""

import os
import sys


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
