"""A page of another origin uses a token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from tests.factories import TokenFactory
from tests.test_cors import allow_other_origins

FETCH = """
async ([url, secret]) => {
  const headers = { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: '{"text": "Tea."}' });
  return [response.status, response.headers.get("WWW-Authenticate")];
}
"""


@pytest.fixture
def api(settings: Settings, base_url: str) -> Iterator[str]:
    """Serve the API from an origin of its own, which allows that of the page."""
    allow_other_origins(settings)
    settings.CORS_ALLOWED_ORIGINS = [base_url]
    server = LiveServer("127.0.0.1")  # its middleware is fixed when it starts
    yield server.url
    server.stop()


def test_page_of_another_origin_uses_a_token(api: str, page: Page, user: User) -> None:
    page.goto("/")

    secret = TokenFactory.create(user=user).secret
    assert page.evaluate(FETCH, [f"{api}/api/notes/", secret]) == [201, None]

    refused = page.evaluate(FETCH, [f"{api}/api/notes/", "wrong"])
    assert refused == [401, 'Bearer realm="api", error="invalid_token"']
