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


def run_pytest(*arguments: str, path: Path) -> None:
    """Run pytest with these arguments, the modules of ``path`` and only the plugin for Django."""
    options = ["-p", "pytest_django.plugin", "-p", "no:cacheprovider"]
    # The other plugins take longer to import than the tests to run.
    run_python(
        *("-m", "pytest", *options, *arguments),
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
        PYTHONPATH=str(path),
    )
