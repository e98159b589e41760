"""The single-page example: the whole life of a token by the REST API and a session."""

from __future__ import annotations

import re

from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect
from pytest_django import Settings

from access_tokens.models import Token
from tests.factories import TokenFactory

from .states import KEPT, SCOPES, SINGLE_PAGE, generate_by_api


def answer(page: Page, button: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=button).click()


def test_token_is_created_rotated_and_deleted(page: Page, user: User, console: list[str]) -> None:
    secret = generate_by_api(page)
    token = Token.objects.verify(secret)
    expect(page.get_by_role("row", name="laptop")).to_contain_text(token.partial)

    page.get_by_role("button", name="Rotate laptop").click()
    answer(page, "Rotate")
    expect(page.locator("#secret")).not_to_have_text(secret)
    assert Token.objects.verify(page.locator("#secret").inner_text()) == token

    page.get_by_role("button", name="Delete laptop").click()
    answer(page, "Cancel")
    assert Token.objects.exists()
    expect(page.get_by_role("button", name="Delete laptop")).to_be_focused()
    page.get_by_role("button", name="Delete laptop").click()
    answer(page, "Delete")
    expect(page.get_by_role("status")).to_have_text("“laptop” was deleted.")
    expect(page.get_by_role("row", name="laptop")).to_have_count(0)
    assert not Token.objects.exists()
    assert console == []


def test_secret_goes_when_the_visitor_is_done(page: Page) -> None:
    secret = generate_by_api(page)
    expect(page.locator("#reveal")).to_be_focused()

    page.get_by_role("button", name="Done").click()

    expect(page.locator("#reveal")).to_be_hidden()
    assert secret not in page.evaluate(KEPT)


def test_secret_is_gone_for_those_who_come_back(recalling_page: Page) -> None:
    page = recalling_page
    secret = generate_by_api(page)
    page.evaluate("window.isTheSame = true")
    page.get_by_role("link", name="Notes").click()
    page.wait_for_url("**/")

    page.go_back(wait_until="commit")  # A page from memory loads nothing.

    assert page.evaluate("window.isTheSame")
    assert secret not in page.evaluate(KEPT)


def test_refusal_of_the_api_is_said(page: Page, user: User) -> None:
    TokenFactory.create(user=user, name="laptop")
    page.goto(SINGLE_PAGE)

    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Create token").click()

    expect(page.get_by_role("alert")).to_contain_text("name")
    assert Token.objects.count() == 1


def test_scopes_of_the_site_can_be_chosen(page: Page, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}
    page.goto(SINGLE_PAGE)
    page.get_by_label("Name").fill("laptop")

    page.get_by_label("Run reports").check()
    page.get_by_role("button", name="Create token").click()

    page.locator("#secret:not(:empty)").wait_for()
    assert Token.objects.get().scopes == "read reports"


def test_list_has_all_pages(page: Page, user: User) -> None:
    for number in range(51):
        TokenFactory.create(user=user, name=f"token {number}")

    page.goto(SINGLE_PAGE)

    expect(page.get_by_role("button", name=re.compile("^Delete token"))).to_have_count(51)


def test_name_is_text_and_never_markup(page: Page, user: User, console: list[str]) -> None:
    TokenFactory.create(user=user, name="<img src=x onerror=alert(1)>")
    page.goto(SINGLE_PAGE)

    expect(page.get_by_role("rowheader")).to_have_text("<img src=x onerror=alert(1)>")
    assert console == []


def test_stranger_logs_in_first(browser: Browser, base_url: str) -> None:
    context = browser.new_context(base_url=base_url)
    page = context.new_page()
    page.goto(SINGLE_PAGE)

    page.wait_for_url(f"**/account/login/?next={SINGLE_PAGE}")
    context.close()
