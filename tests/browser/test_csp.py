"""A strict Content-Security-Policy blocks nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import django
import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from playwright.sync_api import Browser, Page, expect
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from .conftest import log_in, note_errors
from .states import STATES, copied, dialog

NONCE_ONLY = {"default-src": ["'self'"], "base-uri": ["'none'"], "object-src": ["'none'"]}


def self_only(get_response: Callable[[HttpRequest], HttpResponse]) -> object:
    """Allow what the site itself serves, as files, and nothing inline."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["Content-Security-Policy"] = "default-src 'self'"
        return response

    return middleware


def use_self_only(settings: Settings) -> None:
    settings.MIDDLEWARE = [f"{__name__}.self_only", *settings.MIDDLEWARE]


def use_nonces_of_django(settings: Settings) -> None:
    if django.VERSION < (6, 0):
        pytest.skip("Django has a Content-Security-Policy of its own since 6.0.")
    from django.utils.csp import CSP

    settings.SECURE_CSP = NONCE_ONLY | {"script-src": [CSP.NONCE, CSP.STRICT_DYNAMIC]}
    settings.MIDDLEWARE = [
        "django.middleware.csp.ContentSecurityPolicyMiddleware",
        *settings.MIDDLEWARE,
    ]
    (engine,) = settings.TEMPLATES
    processors = [
        *engine["OPTIONS"]["context_processors"],
        "django.template.context_processors.csp",
    ]
    settings.TEMPLATES = [{**engine, "OPTIONS": {"context_processors": processors}}]


def use_nonces_of_django_csp(settings: Settings) -> None:
    from csp.constants import NONCE, STRICT_DYNAMIC

    directives = NONCE_ONLY | {"script-src": [NONCE, STRICT_DYNAMIC]}
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": directives}
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "csp"]
    settings.MIDDLEWARE = ["csp.middleware.CSPMiddleware", *settings.MIDDLEWARE]


@pytest.fixture(
    params=[use_self_only, use_nonces_of_django, use_nonces_of_django_csp],
    ids=["self_only", "nonces_of_django", "nonces_of_django_csp"],
)
def strict_server(request: pytest.FixtureRequest, settings: Settings) -> Iterator[LiveServer]:
    request.param(settings)
    server = LiveServer("localhost")  # its middleware is fixed when it starts
    yield server
    server.stop()


@pytest.fixture(params=["own", "built_in"])
def strict_page(
    request: pytest.FixtureRequest, browser: Browser, strict_server: LiveServer, user: User
) -> Iterator[Page]:
    context = browser.new_context(base_url=strict_server.url)
    log_in(context, user, strict_server.url)
    context.add_cookies([{"name": "look", "value": request.param, "url": strict_server.url}])
    yield context.new_page()
    context.close()


def test_policy_blocks_nothing(strict_page: Page, user: User) -> None:
    errors = note_errors(strict_page)

    for state in STATES:
        state(strict_page, user)
        user.access_tokens.all().delete()

    assert errors == []


def test_script_runs_under_the_policy(strict_page: Page, user: User) -> None:
    copied(strict_page, user)
    dialog(strict_page, user)

    expect(strict_page.get_by_role("button", name="Cancel")).to_be_focused()


def test_policy_is_in_force(strict_page: Page) -> None:
    errors = note_errors(strict_page)
    strict_page.goto("/account/tokens/")

    strict_page.evaluate("document.body.setAttribute('onclick', 'hostile()')")

    assert "Content Security Policy" in "".join(errors)
