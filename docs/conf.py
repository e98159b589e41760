"""Sphinx's configuration of the documentation."""

from __future__ import annotations

import tomllib
from pathlib import Path

PYPROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())

project = "drf-access-tokens"
author = "access_tokens contributors"
project_copyright = author
release = version = PYPROJECT["project"]["version"]

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nitpicky = True
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"{project} {version}"
html_theme_options = {
    "source_repository": PYPROJECT["project"]["urls"]["Homepage"],
    "source_branch": "main",
    "source_directory": "docs/",
}
