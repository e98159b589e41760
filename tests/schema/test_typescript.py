"""A client in TypeScript whose types are generated from the OpenAPI document."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django.live_server_helper import LiveServer

from access_tokens.models import Token
from tests.docs import code_block

from .conftest import Session

# What the code of the documentation has from the page and from Node.js.
DECLARED = """
declare const csrfToken: string;
declare const process: { env: Record<string, string> };
"""
SOURCE = Path(__file__).with_name("typescript")


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """Return the directory of the client, with what it depends on."""
    if shutil.which("npm") is None:
        stop = pytest.fail if os.environ.get("REQUIRE_NODE") else pytest.skip
        stop("This test needs Node.js, as the commands node and npm.")
    shutil.copytree(SOURCE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "documented.ts").write_text(DECLARED + code_block("const session"))
    npm(tmp_path, "install", "--no-package-lock", "--no-audit", "--no-fund")
    return tmp_path


def npm(directory: Path, *arguments: str, **environment: str) -> str:
    result = subprocess.run(  # noqa: S603
        ["npm", "--silent", *arguments],  # noqa: S607
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("version", ["3.0.3", "3.1.1"])
def test_client_creates_uses_rotates_and_deletes_a_token(
    client: Path,
    live_server: LiveServer,
    session: Session,
    version: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("drf_spectacular.settings.spectacular_settings.OAS_VERSION", version)
    call_command("spectacular", format="openapi-json", file=str(client / "schema.json"))
    npm(client, "run", "generate")
    npm(client, "run", "compile")

    output = npm(
        client,
        "start",
        BASE_URL=live_server.url,
        COOKIE=session.cookie,
        CSRF_TOKEN=session.csrf_token,
    )

    assert output == "created, used, rotated and deleted\n"
    assert not Token.objects.exists()
