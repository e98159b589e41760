"""htmx and Turbo, which keep pages in order to show them again, keep no secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django import Settings

from access_tokens.models import Token

from .states import secret_box

VENDOR = Path(__file__).parent / "vendor"
BASE = """<!doctype html>
<html lang="en">
<head>
  <title>{% block title %}{% endblock %}</title>
  <script src="/host.js"></script>
</head>
<body hx-boost="true">
  <a href="/account/tokens/">Tokens</a>
  <main>{% block content %}{% endblock %}</main>
</body>
</html>
"""
# All that either of them, or the page, still holds.
KEPT = """() => JSON.stringify([
    document.documentElement.outerHTML, location.href, history.state,
    {...localStorage}, {...sessionStorage},
    Object.values(globalThis.Turbo?.cache?.store?.snapshots ?? globalThis.Turbo?.session?.view
        ?.snapshotCache?.snapshots ?? {}).map(snapshot => snapshot.element.outerHTML),
])"""


@pytest.fixture(params=["htmx.min.js", "turbo.js"], ids=["htmx", "turbo"])
def host_page(
    request: pytest.FixtureRequest, page: Page, settings: Settings, tmp_path: Path
) -> Page:
    """A page in a site that loads one of the two on every page."""
    tmp_path.joinpath("host.html").write_text(BASE)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    settings.ACCESS_TOKENS = {"BASE_TEMPLATE": "host.html"}
    page.route("**/host.js", lambda route: route.fulfill(path=VENDOR / request.param))
    return page


def test_host_replaces_pages(host_page: Page) -> None:
    host_page.goto("/account/tokens/")
    host_page.evaluate("here = true")

    host_page.get_by_role("link", name="New Token").click()

    expect(host_page.get_by_role("heading", name="New access token")).to_be_visible()
    assert host_page.evaluate("here") is True


def test_host_keeps_no_secret(host_page: Page, context: BrowserContext, user: User) -> None:
    page = host_page
    page.goto("/account/tokens/")
    page.get_by_role("link", name="New Token").click()
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Generate token").click()
    secret = secret_box(page).inner_text()
    page.get_by_role("button", name="Copy").click()
    page.locator("[data-copied]").wait_for()

    page.get_by_role("link", name="Tokens", exact=True).click()
    expect(page.get_by_role("heading", name="Access Tokens")).to_be_visible()
    assert secret not in page.evaluate(KEPT)
    page.go_back()
    expect(page.get_by_role("heading").first).to_be_visible()

    assert secret not in page.evaluate(KEPT)
    assert secret not in json.dumps(context.cookies())
    assert Token.objects.count() == 1


def test_page_works_in_the_host(host_page: Page, user: User) -> None:
    Token.objects.create_token(user=user, name="laptop")
    page = host_page
    page.goto("/account/tokens/new/")
    page.get_by_role("link", name="Tokens", exact=True).click()

    page.get_by_role("button", name="Delete laptop").click()
    page.get_by_role("button", name="Delete token").click()

    expect(page.get_by_role("heading", name="You don’t have any access tokens")).to_be_visible()
    assert not Token.objects.exists()
