"""The guides in docs/moving keep their promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from .docs import PAGES, ROOT


def test_guides_can_be_followed(tmp_path: Path) -> None:
    """Run ``tests/moving`` in a process of its own, since the site has other apps."""
    for block in re.findall(
        r" *```python\n( *# integrations/.*?)```", PAGES["moving/hand-written"], re.DOTALL
    ):
        code = dedent(block)
        path = tmp_path / code.split()[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    process = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "tests/moving",
            "--ds",
            "tests.moving.settings",
            "-p",
            "no:cacheprovider",
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
