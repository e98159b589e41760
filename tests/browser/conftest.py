"""Chromium, and a visitor who is logged in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.servers.basehttp import ThreadedWSGIServer
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, BrowserType, ConsoleMessage, Page
from pytest_django.live_server_helper import LiveServer

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session", autouse=True)
def orm_beside_playwright() -> Iterator[None]:
    """Allow the ORM in this thread, in which Playwright's synchronous API has an event loop.

    Nothing else runs in that loop, so no two coroutines can share a connection.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


@pytest.fixture(scope="session", autouse=True)
def servers_that_wait_for_their_threads() -> Iterator[None]:
    """Let no thread of a server outlive it: then it may not use the connection to the database.

    Each thread serves one connection of the browser, and ends when that context is closed.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThreadedWSGIServer, "daemon_threads", False)
        yield


@pytest.fixture(autouse=True)
def committed(transactional_db: None) -> None:
    """Let the server see what a test makes."""


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    chromium = shutil.which("chromium")
    if chromium is None:
        stop = pytest.fail if os.environ.get("REQUIRE_BROWSER") else pytest.skip
        stop("These tests need Chromium, as the command chromium.")
    return {**browser_type_launch_args, "executable_path": chromium, "args": QUIET}


@pytest.fixture(scope="session")
def base_url(live_server: LiveServer) -> str:
    return live_server.url


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {
        **browser_context_args,
        "locale": "en-US",
        "reduced_motion": "reduce",
        "viewport": {"width": 1180, "height": 820},
    }


@pytest.fixture
def context(context: BrowserContext, user: User, base_url: str) -> BrowserContext:
    context.set_default_timeout(5000)
    log_in(context, user, base_url)
    return context


@pytest.fixture
def recalling_page(
    browser_type: BrowserType,
    browser_type_launch_args: dict[str, object],
    user: User,
    base_url: str,
) -> Iterator[Page]:
    """A page in a browser that keeps pages in memory for Back, which Playwright switches off."""
    browser: Browser = browser_type.launch(
        **browser_type_launch_args,  # type: ignore[arg-type]  # whatever pytest-playwright has
        ignore_default_args=["--disable-back-forward-cache"],
    )
    context = browser.new_context(base_url=base_url)
    log_in(context, user, base_url)
    yield context.new_page()
    browser.close()


@pytest.fixture
def console(page: Page) -> list[str]:
    return note_errors(page)


def note_errors(page: Page) -> list[str]:
    """Return a list to which is added what goes wrong in the eyes of the browser."""
    errors: list[str] = []

    def note(entry: ConsoleMessage) -> None:
        # The example project has no icon, which Chromium asks for all the same.
        if entry.type == "error" and not entry.location["url"].endswith("/favicon.ico"):
            errors.append(entry.text)

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


def log_in(context: BrowserContext, user: User, url: str) -> None:
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])
