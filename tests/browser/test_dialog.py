"""The dialog that asks before a token is deleted."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from access_tokens.models import Token

from .states import filled, the_bin


@pytest.fixture
def page(page: Page, user: User) -> Page:
    filled(page, user)
    return page


def test_dialog_says_which_token_it_is_about(page: Page) -> None:
    the_bin(page, "CI pipeline").click()

    dialog = page.get_by_role("dialog", name="Delete “CI pipeline”?")
    expect(dialog).to_be_visible()
    expect(dialog).to_have_accessible_description(
        "Deleting this token revokes access to any API endpoint associated with it. "
        "Scripts and applications that still use it will stop working immediately. "
        "You can’t undo this."
    )
    shown, _, _ = Token.objects.get(name="CI pipeline").partial.partition("…")
    expect(dialog).to_contain_text(shown)
    expect(dialog).to_contain_text("2 hours ago")


def test_dialog_is_filled_anew_for_each_token(page: Page) -> None:
    for name in ["CI pipeline", "Laptop"]:
        the_bin(page, name).click()
        dialog = page.get_by_role("dialog", name=f"Delete “{name}”?")
        expect(dialog).to_be_visible()
        page.get_by_role("button", name="Cancel").click()
        expect(dialog).to_be_hidden()


@pytest.mark.parametrize("way", ["Cancel", "Escape"])
def test_dialog_returns_the_focus_to_the_bin(page: Page, way: str) -> None:
    the_bin(page, "Laptop").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()

    if way == "Cancel":
        page.get_by_role("button", name="Cancel").click()
    else:
        page.keyboard.press("Escape")

    expect(the_bin(page, "Laptop")).to_be_focused()
    assert Token.objects.count() == 5


def test_dialog_leads_to_the_bin_where_a_click_gives_no_focus(page: Page) -> None:
    # As in Safari.
    the_bin(page, "Laptop").evaluate("button => button.form.requestSubmit()")

    page.get_by_role("button", name="Cancel").click()

    expect(the_bin(page, "Laptop")).to_be_focused()


def test_click_beside_the_dialog_changes_nothing(page: Page) -> None:
    the_bin(page, "Laptop").click()

    page.mouse.click(5, 400)

    expect(page.get_by_role("dialog")).to_be_visible()


def test_only_the_token_in_question_is_deleted(page: Page) -> None:
    the_bin(page, "CI pipeline").click()
    page.get_by_role("button", name="Cancel").click()
    the_bin(page, "Laptop").click()

    page.get_by_role("button", name="Delete token").click()

    expect(page.get_by_text("Token “Laptop” was deleted.")).to_be_visible()
    assert not Token.objects.filter(name="Laptop").exists()
    assert Token.objects.count() == 4


def test_dialog_opens_for_a_row_of_the_site_that_shows_less(page: Page) -> None:
    page.locator("tr [data-at-slot=used]").evaluate_all("slots => slots.forEach(s => s.remove())")
    the_bin(page, "CI pipeline").click()
    expect(page.get_by_role("dialog", name="Delete “CI pipeline”?")).to_be_visible()
