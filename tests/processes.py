"""Python in a process of its own, for what can't be undone in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .docs import ROOT


def run_python(*arguments: str, cwd: Path = ROOT, **environ: str) -> str:
    """Run Python with these arguments and return what it prints."""
    process = subprocess.run(  # noqa: S603
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout
