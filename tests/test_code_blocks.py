"""Every block of code in the documentation does what its language demands.

Python runs, or is compiled if it can't run here; templates are rendered; the lines for a shell
are checked against the real commands. ``tests/code_blocks`` does it in a process of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command

from .docs import BLOCKS, ROOT
from .processes import run_python
from .test_installation import SET_UP, install, run


def test_blocks_do_what_their_languages_demand() -> None:
    settings = "tests.code_blocks.settings"
    run_python("-m", "tests.code_blocks.run", DJANGO_SETTINGS_MODULE=settings)


CHECK = 'call_command("check", fail_level="WARNING")\n'
FAST_PASSWORDS = 'PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]\n'
RUN_TESTS = """
import os
import sys

import pytest

# The other plugins take longer to import than the tests to run.
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
options = ["-p", "pytest_django.plugin", "-p", "no:cacheprovider", "--rootdir", "."]
sys.exit(pytest.main([*options, "tests"]))
"""


def modules(page: str) -> dict[str, str]:
    """Return the modules that a page shows, by path."""
    return {block.module: block.code for block in BLOCKS if block.module and block.page == page}


@pytest.mark.parametrize("path", sorted({block.page for block in BLOCKS if block.module}))
def test_modules_of_a_page_make_a_site(path: str, tmp_path: Path) -> None:
    code = modules(path)
    settings = code.pop("mysite/settings.py", "")
    if '"access_tokens"' in settings:
        call_command("startproject", "mysite", tmp_path)
    else:
        install(tmp_path)
    apps = {name.partition("/")[0] for name in code} - {"mysite", "tests"}
    with (tmp_path / "mysite/settings.py").open("a") as file:
        file.write(f"\n{settings}\nINSTALLED_APPS += {sorted(apps)}\n{FAST_PASSWORDS}")
    for name, text in code.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    tests = ROOT / "tests/code_blocks/sites" / f"{Path(path).stem}.py"
    if tests.exists():
        (tmp_path / "tests").mkdir(exist_ok=True)
        (tmp_path / "tests/test_page.py").write_text(tests.read_text())
    names = [name.removesuffix(".py").replace("/", ".") for name in code]
    imports = "".join(f"import {name}\n" for name in names if not name.startswith("tests."))
    tested = RUN_TESTS if (tmp_path / "tests").exists() else ""
    run(tmp_path, SET_UP + CHECK + imports + tested)
