"""How `make docs` builds the pages."""

import importlib.metadata

project = "cosim"
release = importlib.metadata.version("cosim")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]
html_theme = "furo"
html_title = f"cosim {release}"
html_static_path: list[str] = []
exclude_patterns = ["_build", "notebooks/README.md"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}
# Docstrings are plain sentences with bare names and tables; markup in them is not ours to demand.
suppress_warnings = ["myst.xref_missing"]
