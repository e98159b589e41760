"""From no token to a token and back, in other ways than with a mouse and JavaScript."""

from __future__ import annotations

from django.contrib.auth.models import User
from playwright.sync_api import Browser, Locator, Page, expect

from access_tokens.models import Token

from .conftest import log_in
from .states import LIST, secret_box, the_bin


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus, as somebody without a mouse does."""
    for _ in range(30):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"The Tab key does not lead to {target}.")


def test_whole_journey_by_keyboard_alone(page: Page, user: User) -> None:
    press = page.keyboard.press
    page.goto(LIST)

    tab_to(page, page.get_by_role("link", name="New Token"))
    press("Enter")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("laptop")
    tab_to(page, page.get_by_label("Expiration"))
    press("ArrowUp")
    tab_to(page, page.get_by_role("button", name="Generate token"))
    press("Enter")

    page.wait_for_url(f"**{LIST}")
    secret = secret_box(page).inner_text()
    tab_to(page, page.get_by_role("button", name="Copy"))
    press("Enter")
    expect(page.get_by_role("button", name="Copied")).to_be_focused()
    tab_to(page, page.get_by_role("link", name="Done"))
    press("Enter")

    expect(page.get_by_role("heading", name="Access Tokens")).to_be_visible()
    assert Token.objects.verify(secret) == Token.objects.get(user=user, name="laptop")
    tab_to(page, page.get_by_role("button", name="Rotate laptop"))
    press("Enter")
    tab_to(page, page.get_by_label("may have leaked"))
    tab_to(page, page.get_by_role("button", name="Rotate token"))
    press("Enter")

    page.wait_for_url(f"**{LIST}")
    new_secret = secret_box(page).inner_text()
    tab_to(page, page.get_by_role("link", name="Done"))
    press("Enter")

    tab_to(page, page.get_by_role("button", name="End now: old token of laptop"))
    assert Token.objects.verify(secret) == Token.objects.verify(new_secret)
    press("Enter")
    expect(page.get_by_text("The old token of “laptop” no longer works.")).to_be_visible()
    assert Token.objects.get().previous_has_ended
    bin_button = the_bin(page, "laptop")
    tab_to(page, bin_button)
    press("Enter")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    press("Escape")
    expect(bin_button).to_be_focused()
    press("Space")
    press("Shift+Tab")
    expect(page.get_by_role("button", name="Delete token")).to_be_focused()
    press("Enter")

    expect(page.get_by_text("Token “laptop” was deleted.")).to_be_visible()
    assert not Token.objects.exists()


def test_whole_journey_without_javascript(browser: Browser, user: User, base_url: str) -> None:
    context = browser.new_context(base_url=base_url, java_script_enabled=False)
    log_in(context, user, base_url)
    page = context.new_page()
    page.goto(LIST)

    page.get_by_role("link", name="New Token").click()
    page.get_by_label("Name").fill("laptop")
    page.get_by_label("Expiration").select_option(label="No expiration")
    page.get_by_role("button", name="Generate token").click()

    secret = page.locator("[data-at-secret] code").text_content()
    assert secret
    expect(page.locator("[data-at-copy]")).to_be_hidden()
    page.get_by_role("link", name="Done").click()

    assert Token.objects.verify(secret).name == "laptop"
    page.get_by_role("button", name="Rotate laptop").click()
    page.get_by_role("button", name="Rotate token").click()

    new_secret = page.locator("[data-at-secret] code").text_content()
    assert new_secret
    page.get_by_role("link", name="Done").click()

    assert Token.objects.verify(secret) == Token.objects.verify(new_secret)
    page.get_by_role("button", name="End now").click()
    expect(page.get_by_text("The old token of “laptop” no longer works.")).to_be_visible()
    assert Token.objects.get().previous_has_ended
    the_bin(page, "laptop").click()
    expect(page.get_by_role("heading", name="Delete “laptop”?")).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    the_bin(page, "laptop").click()
    page.get_by_role("button", name="Delete token").click()

    expect(page.get_by_text("Token “laptop” was deleted.")).to_be_visible()
    assert not Token.objects.exists()
    context.close()
