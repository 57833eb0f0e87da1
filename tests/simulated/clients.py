"""Clients of clustrix that are processes of their own, with settings by environment variables: to be killed, or to be another machine."""

import os
import subprocess
import sys
from pathlib import Path

import clustrix

PRELUDE = "import os, sys, clustrix, counted_workload\nfrom clustrix import cluster\n"


def settings_of(config, **more):
    """The environment variables that configure a process as ``config`` is."""
    settings = {
        f"CLUSTRIX_{name.upper()}": str(value)
        for name, value in config.public_dict().items()
        if isinstance(value, str) or (name == "cluster_port")
    }
    return {**settings, "PYTHONPATH": str(Path(__file__).parent), **more}


def start(script, **settings):
    """A Python that runs ``script`` as the user's own, with the configuration that is set here but for ``settings``."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | settings_of(clustrix.get_config(), **settings),
    )


def said(script, **settings):
    """What such a process prints, when it ended well."""
    process = start(script, **settings)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output.strip()
