"""The page that shows the secret: copying it, leaving, and what is left behind."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import BrowserContext, Dialog, Page, expect

from access_tokens.models import Token

from .states import CREATE, KEPT, generate, secret_box

NO_CLIPBOARD = "delete Navigator.prototype.clipboard"  # as where the site is not served by HTTPS
NO_COPY_COMMAND = "Document.prototype.execCommand = () => false"


# What a script of this page, or of another page of the site, could still find.
@pytest.fixture
def asked(page: Page) -> list[str]:
    """Return the questions that leaving the page has led to; each is answered with "Stay"."""
    types: list[str] = []

    def stay(dialog: Dialog) -> None:
        types.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    return types


def press_copy(page: Page) -> None:
    page.get_by_role("button", name="Copy").click()


def pasted(page: Page) -> str:
    """Return what somebody would paste in another page."""
    page.goto(CREATE)
    page.get_by_label("Name").press("Control+V")
    return page.get_by_label("Name").input_value()


# Copying


def test_copy_fills_the_clipboard(page: Page, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    secret = generate(page)

    press_copy(page)

    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("Token copied to the clipboard.")
    assert page.evaluate("navigator.clipboard.readText()") == secret


def test_copied_is_said_for_a_moment(page: Page) -> None:
    page.clock.install()
    generate(page)
    press_copy(page)
    expect(page.get_by_role("button", name="Copied")).to_be_visible()

    page.clock.fast_forward(2500)

    expect(page.get_by_role("button", name="Copy", exact=True)).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("")


def test_copy_falls_back_where_the_clipboard_is_denied(
    page: Page, context: BrowserContext, base_url: str
) -> None:
    session = context.new_cdp_session(page)
    for name in ["clipboard-read", "clipboard-write"]:
        session.send(
            "Browser.setPermission",
            {"permission": {"name": name}, "setting": "denied", "origin": base_url},
        )
    secret = generate(page)

    press_copy(page)

    expect(page.get_by_role("button", name="Copied")).to_be_focused()
    assert pasted(page) == secret


def test_copy_falls_back_where_there_is_no_clipboard(page: Page) -> None:
    page.add_init_script(NO_CLIPBOARD)
    secret = generate(page)

    press_copy(page)

    expect(page.get_by_role("button", name="Copied")).to_be_focused()
    assert pasted(page) == secret


def test_secret_is_selected_where_nothing_can_copy_it(page: Page, asked: list[str]) -> None:
    page.add_init_script(NO_CLIPBOARD)
    page.add_init_script(NO_COPY_COMMAND)
    secret = generate(page)

    press_copy(page)

    expect(page.get_by_role("status")).to_contain_text("press Ctrl+C")
    expect(page.get_by_role("status")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Copied")).to_have_count(0)
    assert page.evaluate("getSelection().toString()") == secret
    page.get_by_role("link", name="API", exact=True).click()
    assert asked == ["beforeunload"]


# Leaving


def test_leaving_without_a_copy_is_asked_about(page: Page, asked: list[str]) -> None:
    secret = generate(page)

    page.get_by_role("link", name="API", exact=True).click()

    assert asked == ["beforeunload"]
    assert secret_box(page).inner_text() == secret


@pytest.mark.parametrize("how", ["button", "keys", "done"])
def test_leaving_with_a_copy_is_not_asked_about(page: Page, asked: list[str], how: str) -> None:
    generate(page)

    if how == "button":
        press_copy(page)
        page.locator("[data-copied]").wait_for()
    elif how == "keys":
        secret_box(page).click()
        page.keyboard.press("Control+A")
        page.keyboard.press("Control+C")
    link = "Done" if how == "done" else "API"
    with page.expect_navigation():
        page.get_by_role("link", name=link).click()

    assert asked == []


def test_reload_shows_the_list_and_mints_nothing(page: Page) -> None:
    secret = generate(page)
    press_copy(page)
    page.locator("[data-copied]").wait_for()

    page.reload()

    expect(page.get_by_role("heading", name="Access Tokens")).to_be_visible()
    assert secret not in page.evaluate(KEPT)
    assert Token.objects.count() == 1


def test_back_shows_no_secret_and_mints_nothing(page: Page) -> None:
    secret = generate(page)
    page.get_by_role("link", name="Done").click()
    page.get_by_role("heading", name="Access Tokens").wait_for()

    page.go_back()

    expect(page.get_by_role("heading", name="New access token")).to_be_visible()
    assert secret not in page.evaluate(KEPT)
    assert Token.objects.count() == 1


def test_back_from_another_page_shows_the_list(page: Page) -> None:
    go_away_and_come_back(page)


def test_back_shows_the_list_where_pages_are_kept_in_memory(recalling_page: Page) -> None:
    go_away_and_come_back(recalling_page)


def go_away_and_come_back(page: Page) -> None:
    secret = generate(page)
    press_copy(page)
    page.locator("[data-copied]").wait_for()
    page.get_by_role("link", name="API", exact=True).click()
    page.wait_for_url("**/api/")

    page.go_back()

    expect(page.get_by_role("heading", name="Access Tokens")).to_be_visible()
    assert secret not in page.evaluate(KEPT)
    assert Token.objects.count() == 1


def test_page_that_was_kept_in_memory_leads_to_the_list(page: Page) -> None:
    # Chromium keeps no page that says no-store. Others may, so their events are made up here.
    generate(page)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")

    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")

    expect(page.get_by_role("heading", name="Access Tokens")).to_be_visible()


# What is left


def test_secret_is_in_one_element_and_nowhere_else(page: Page, context: BrowserContext) -> None:
    secret = generate(page)
    secret_box(page).evaluate("element => { element.textContent = '' }")

    assert secret not in page.evaluate(KEPT)
    assert secret not in json.dumps(context.cookies())


def test_secret_is_gone_as_soon_as_the_page_is_left(page: Page) -> None:
    secret = generate(page)

    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")

    assert secret not in page.evaluate(KEPT)


def test_secret_is_not_printed(page: Page) -> None:
    generate(page)

    page.emulate_media(media="print")

    expect(secret_box(page)).to_be_hidden()
    expect(page.get_by_role("heading", name="Copy your new token")).to_be_visible()
