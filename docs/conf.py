"""How Sphinx makes the documentation of these pages and of the docstrings: nox -s docs."""

import os
from pathlib import Path

import clustrix

project = "clustrix and simcluster"
author = "The clustrix developers"
copyright = author  # noqa: A001 - Sphinx's name for it
release = version = clustrix.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["substitution"]
myst_heading_anchors = 3
exclude_patterns = ["notebooks"]

html_theme = "furo"
html_title = "clustrix"
html_extra_path = ["matrix.png"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
default_role = "code"


def _colab(notebook: Path) -> str:
    """The badge that opens a notebook in Colab: from where these pages are built of, which GitHub tells its workflows."""
    repository = os.environ.get("GITHUB_REPOSITORY")
    if not repository:
        return ""
    address = f"https://colab.research.google.com/github/{repository}/blob/main/docs/notebooks/{notebook.name}"
    return f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({address})"


myst_substitutions = {f"colab_{path.stem}": _colab(path) for path in Path(__file__).parent.glob("notebooks/*.ipynb")}
