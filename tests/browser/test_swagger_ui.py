"""A user creates a token in Swagger UI, and uses it there."""

from __future__ import annotations

import json

from playwright.sync_api import BrowserContext, Page

from access_tokens.models import Token


def call(page: Page, operation: str, body: str = "") -> str:
    """Call an operation and return the body of its answer."""
    panel = page.locator(f"[id$={operation}]")
    panel.locator(".opblock-summary").click()
    panel.get_by_role("button", name="Try it out").click()
    if body:
        panel.locator("textarea").fill(body)
    panel.get_by_role("button", name="Execute").click()
    return panel.locator(".live-responses-table .response-col_description code").first.inner_text()


def test_token_is_created_and_used(page: Page, context: BrowserContext, console: list[str]) -> None:
    page.goto("/api/docs/")
    created = json.loads(call(page, "tokens_create", '{"name": "laptop"}'))

    context.clear_cookies()
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".auth-container", has_text="accessToken").locator("input").fill(created["secret"])
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").first.click()

    assert json.loads(call(page, "me_retrieve")) == {"username": "ada", "token": "laptop"}
    assert Token.objects.get().last_used_at is not None
    assert console == []
