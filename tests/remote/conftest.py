"""Imports what is tested as it is on the cluster: the directory `remote/` under the name `clustrix_remote`, alone."""

import os
import shutil
import sys
import tempfile

REMOTE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "clustrix", "remote")


def pytest_configure(config):
    far_side = tempfile.mkdtemp(prefix="clustrix-far-side-")
    config.add_cleanup(lambda: shutil.rmtree(far_side))
    os.symlink(os.path.realpath(REMOTE), os.path.join(far_side, "clustrix_remote"), target_is_directory=True)
    sys.path.insert(0, far_side)
    config.pluginmanager.import_plugin("environment_fixtures")  # which imports what has just become importable
    config.pluginmanager.import_plugin("recorded_answers")
