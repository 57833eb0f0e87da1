"""A function that needs what only an index has."""

import sys


def numpy_and_six():
    import numpy as np
    import six

    return sys.version_info[:2], np.arange(4.0).mean(), six.__version__
