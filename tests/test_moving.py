"""The guides in docs/moving keep their promises."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

from .docs import PAGES
from .processes import run_pytest


def test_guides_can_be_followed(tmp_path: Path) -> None:
    """Run ``tests/moving`` in a process of its own, since the site has other apps."""
    for block in re.findall(
        r" *```python\n( *# integrations/.*?)```", PAGES["moving/hand-written"], re.DOTALL
    ):
        code = dedent(block)
        path = tmp_path / code.split()[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    options = ["--ds", "tests.moving.settings"]
    run_pytest("tests/moving", *options, path=tmp_path)
