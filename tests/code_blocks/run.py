"""Run the code of the documentation and print what fails: ``python -m tests.code_blocks.run``.

Each page runs in a process of its own, forked from one site, so that no page changes another.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from importlib import import_module
from itertools import groupby
from multiprocessing import get_context
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

import django
import sqlparse
import yaml
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.management import call_command
from django.template import engines
from django.test import RequestFactory, override_settings

from tests.docs import BLOCKS, Block

from .console import check_line

# Code that needs one of these is compiled, and what else it imports is imported.
NOT_INSTALLED = {"auditlog", "celery", "sentry_sdk"}
NOT_IN_EVERY_DJANGO = {"django.tasks", "django.utils.csp"}
# The same for code that calls a server or is one, by a part of it.
NEEDS_A_SERVER = ("urlopen(", "# asgi.py")
# What a page can use without an import, because its text or an earlier page has explained it.
EXPLAINED = """
from access_tokens.decorators import required_scopes
from access_tokens.forms import TokenForm
from access_tokens.models import Token
from django import forms
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, JsonResponse
from django.urls import include, path
from django.utils.translation import gettext_lazy as _
from rest_framework.decorators import action, api_view
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

urlpatterns = []
"""
# The files that the code of a page reads.
FILES = {"access.log": "127.0.0.1 - - GET /api/me/"}

Names = dict[str, Any]


def explained() -> Names:
    """Return these names, and a user, a token and a request of its owner."""
    # Some decorators look up the module of what they decorate.
    module = ModuleType("example_project.documented")
    sys.modules[module.__name__] = module
    names: Names = vars(module)
    exec(EXPLAINED, names)  # noqa: S102  # the lines above
    user = get_user_model().objects.create_user("ada")
    token, _ = names["Token"].objects.create_token(user=user, name="CI", scopes=["reports"])
    request: Any = RequestFactory().get("/")
    request.user, request.auth = user, token
    apps = list(settings.INSTALLED_APPS)
    names |= {"user": user, "token": token, "request": request, "INSTALLED_APPS": apps}
    return names


def run_python(block: Block, names: Names) -> None:
    code = compile(block.code, f"{block.page}:{block.line}", "exec")
    if block.module:
        return  # The tests make a site of the modules.
    modules = imported(block.code)
    missing = [name for name in modules if name.partition(".")[0] in NOT_INSTALLED]
    missing += NOT_IN_EVERY_DJANGO & modules.keys()
    if missing or any(part in block.code for part in NEEDS_A_SERVER):
        for name in modules.keys() - missing:
            module = import_module(name)
            assert all(hasattr(module, attribute) for attribute in modules[name]), name
        return
    before = dict(names)
    exec(code, names)  # noqa: S102  # the documentation's own code
    check_settings({n: v for n, v in names.items() if n.isupper() and before.get(n) is not v})


def imported(code: str) -> dict[str, list[str]]:
    """Return the names that a block imports, by module."""
    nodes = list(ast.walk(ast.parse(code)))
    plain = [a.name for node in nodes if isinstance(node, ast.Import) for a in node.names]
    return {name: [] for name in plain} | {
        str(node.module): [alias.name for alias in node.names]
        for node in nodes
        if isinstance(node, ast.ImportFrom)
    }


def check_settings(changed: Names) -> None:
    """Run the checks of settings on those that a page shows, unless they name other apps."""
    if not changed or {"INSTALLED_APPS", "DATABASES"} & changed.keys():
        return
    with override_settings(**changed):
        found = run_checks(tags=["security", "templates"])
    messages = [message for message in found if str(message.id).startswith("access_tokens.")]
    assert not messages, messages


def run_django(block: Block, names: Names) -> None:
    template = engines["django"].from_string(block.code)
    context = {"at_base_template": "base.html", "form": names["TokenForm"]()}
    template.render(context | {"token": names["token"]}, names["request"])


def run_console(block: Block, names: Names) -> None:
    known = {b.module.rpartition("/")[2] for b in BLOCKS if b.module and b.page == block.page}
    # A line goes on after a backslash or with an indentation.
    for line in re.sub(r"\\?\n +", " ", block.code).splitlines():
        check_line(line, {name.removesuffix(".py") for name in known})


def run_css(block: Block, names: Names) -> None:
    assert block.code.count("{") == block.code.count("}") > 0
    assert block.code.count(":") <= block.code.count(";") + block.code.count("{")


def run_json(block: Block, names: Names) -> None:
    json.loads(block.code)


def run_yaml(block: Block, names: Names) -> None:
    yaml.safe_load(block.code)


def run_sql(block: Block, names: Names) -> None:
    for statement in sqlparse.parse(block.code):
        assert statement.get_type() != "UNKNOWN"  # type: ignore[no-untyped-call]  # sqlparse


def run_typescript(block: Block, names: Names) -> None:
    """Count the brackets. The tests in ``tests/schema`` compile it."""
    for brackets in ["()", "[]", "{}"]:
        assert block.code.count(brackets[0]) == block.code.count(brackets[1])


def run_javascript(block: Block, names: Names) -> None:
    run_typescript(block, names)
    if node := shutil.which("node"):
        subprocess.run(  # noqa: S603
            [node, "--check", "--input-type=module"], input=block.code, text=True, check=True
        )


def run_text(block: Block, names: Names) -> None:
    """Accept what a program prints. It isn't code."""


HANDLERS: dict[str, Callable[[Block, Names], None]] = {
    "python": run_python,
    "django": run_django,
    "console": run_console,
    "css": run_css,
    "javascript": run_javascript,
    "json": run_json,
    "sql": run_sql,
    "text": run_text,
    "typescript": run_typescript,
    "yaml": run_yaml,
}


def run_page(page: list[Block]) -> None:
    """Run the blocks of a page one after the other, as a reader does, and print what fails."""
    names = explained()
    has_failed = False
    for block in page:
        try:
            HANDLERS[block.language](block, names)
        except (Exception, SystemExit):
            has_failed = True
            print(f"{block.page}:{block.line}\n{traceback.format_exc()}", flush=True)
    sys.exit(has_failed)


def main() -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    os.chdir(tempfile.mkdtemp())
    for name, text in FILES.items():
        Path(name).write_text(text)
    exit_codes = []
    for _, page in groupby(BLOCKS, attrgetter("page")):
        process = get_context("fork").Process(target=run_page, args=(list(page),))
        process.start()
        process.join()
        exit_codes.append(process.exitcode)
    sys.exit(any(exit_codes))


if __name__ == "__main__":
    main()
