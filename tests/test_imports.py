from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import access_tokens

PACKAGE = Path(access_tokens.__file__).parent
ROOT = PACKAGE.parent
SOURCES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
# The names that Django REST framework gives to jobs.
OF_DRF = {"authentication.py", "permissions.py", "serializers.py", "throttling.py", "viewsets.py"}

WITHOUT_DRF = """
import sys

sys.modules["rest_framework"] = None
from django.conf import settings

settings.configure(
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "access_tokens",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
import django

django.setup()
from importlib import import_module

from django.core.checks.registry import registry

for name in sys.argv[1:]:
    import_module(name)
for check in registry.get_checks():
    if check.__module__.startswith("access_tokens."):
        assert check(app_configs=None, databases=None) == [], check
"""


def module(path: str) -> str:
    name = f"access_tokens/{path}".removesuffix(".py").replace("/", ".")
    return name.removesuffix(".__init__")


def run(*command: str) -> None:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 0, result.stdout + result.stderr


def test_app_works_without_drf() -> None:
    modules = [module(path) for path in SOURCES if path not in OF_DRF]

    run(sys.executable, "-W", "error", "-c", WITHOUT_DRF, *modules)


def test_imports_run_one_way() -> None:
    run(sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()")


@pytest.mark.parametrize("path", SOURCES)
def test_no_function_imports(path: str) -> None:
    tree = ast.parse((PACKAGE / path).read_text())

    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    inner = [node for function in functions for node in ast.walk(function)]
    assert not [node.lineno for node in inner if isinstance(node, ast.Import | ast.ImportFrom)]


def test_types_are_published() -> None:
    assert (PACKAGE / "py.typed").exists()
