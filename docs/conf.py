"""How Sphinx makes the documentation of these pages and of the docstrings: nox -s docs."""

import clustrix

project = "clustrix and simcluster"
author = "The clustrix developers"
copyright = author  # noqa: A001 - Sphinx's name for it
release = version = clustrix.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["notebooks"]

html_theme = "furo"
html_title = "clustrix"
html_extra_path = ["matrix.png"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
default_role = "code"
