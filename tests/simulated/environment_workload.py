"""What the jobs of test_environments.py run: 3.6 grammar, nothing but the standard library at import."""

import sys


def versions():
    import attr
    import six

    return sys.version_info[:2], attr.__version__, six.__version__


def numpy_version():
    import numpy as np

    return sys.version_info[:2], np.__version__


def version():
    return sys.version_info[:2]


def prefix():
    import six

    return six.__version__, sys.prefix
