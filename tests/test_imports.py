from __future__ import annotations

from .docs import ROOT
from .processes import run_python

PACKAGE = ROOT / "access_tokens"
SOURCES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
# The modules that may import Django REST framework.
OF_DRF = {"authentication.py", *(path for path in SOURCES if path.startswith("api/"))}

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
    DATABASES={},
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


def test_app_is_imported_without_drf_and_asks_no_database() -> None:
    modules = [module(path) for path in SOURCES if path not in OF_DRF]

    run_python("-W", "error", "-c", WITHOUT_DRF, *modules)
