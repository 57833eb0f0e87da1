"""Puts clustrix, as it is here, into a virtual environment on a cluster: what it takes to use it there without SSH."""

import base64
import importlib
import io
import tarfile
from pathlib import Path

NEEDED = ("clustrix", "packaging", "platformdirs", "yaml", "cloudpickle", "vermin")


def install_clustrix(site):
    """The environment's directory on ``site``; its Python is 3.12."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in NEEDED:
            root = Path(importlib.import_module(name).__file__).parent
            for path in sorted(root.rglob("*.py")):
                archive.add(path, f"{name}/{path.relative_to(root)}")
    site.run("python3.12 -m venv --without-pip ~/venv", check=True)
    site.run(
        "base64 -d | tar xzf - -C ~/venv/lib/python3.12/site-packages",
        input=base64.b64encode(packed.getvalue()).decode(),
        check=True,
    )
    return f"{site.home}/venv"
