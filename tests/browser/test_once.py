"""However often somebody presses, things happen once."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, Request, expect

from access_tokens.models import Token

from .states import CREATE, LIST, filled, rotate_page, secret_box, the_bin


@pytest.fixture
def posts(page: Page) -> list[str]:
    urls: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            urls.append(request.url)

    page.on("request", note)
    return urls


def test_double_click_makes_one_token(page: Page, posts: list[str]) -> None:
    page.goto(CREATE)
    page.get_by_label("Name").fill("laptop")

    page.get_by_role("button", name="Generate token").dblclick()

    secret_box(page).wait_for()
    assert len(posts) == 1
    assert Token.objects.count() == 1


def test_double_click_rotates_once(page: Page, user: User, posts: list[str]) -> None:
    rotate_page(page, user)

    page.get_by_role("button", name="Rotate token").dblclick()

    secret_box(page).wait_for()
    assert len(posts) == 1
    assert Token.objects.verify(secret_box(page).inner_text())


def test_three_enters_make_one_token(page: Page, posts: list[str]) -> None:
    page.goto(CREATE)
    name = page.get_by_label("Name")
    name.fill("laptop")

    name.evaluate("input => [1, 2, 3].forEach(() => input.form.requestSubmit())")

    secret_box(page).wait_for()
    assert len(posts) == 1
    assert Token.objects.count() == 1


def test_second_press_sends_nothing_while_the_first_is_on_its_way(page: Page) -> None:
    page.goto(CREATE)
    page.get_by_label("Name").fill("laptop")
    page.evaluate(
        """() => {
            sent = 0;
            addEventListener("submit", event => {
                if (!event.defaultPrevented) sent += 1;
                event.preventDefault();
            });
        }"""
    )

    page.get_by_role("button", name="Generate token").dblclick()
    page.get_by_label("Name").press("Enter")

    assert page.evaluate("sent") == 1


def test_pressed_button_says_so_until_the_page_comes_back(page: Page) -> None:
    page.goto(CREATE)
    page.get_by_label("Name").fill("laptop")
    page.evaluate("addEventListener('submit', event => event.preventDefault())")
    button = page.get_by_role("button", name="Generate token")

    button.click()
    expect(button).to_have_attribute("aria-disabled", "true")

    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(button).not_to_have_attribute("aria-disabled", "true")


def test_double_click_deletes_once(page: Page, user: User, posts: list[str]) -> None:
    filled(page, user)
    the_bin(page, "Laptop").click()

    page.get_by_role("button", name="Delete token").dblclick()

    expect(page.get_by_text("Token “Laptop” was deleted.")).to_be_visible()
    assert len(posts) == 1
    assert Token.objects.count() == 4


def test_token_that_another_tab_deleted_leads_back_to_the_list(page: Page, user: User) -> None:
    filled(page, user)
    the_bin(page, "Laptop").click()
    other_tab = page.context.new_page()
    other_tab.goto(LIST)
    the_bin(other_tab, "Laptop").click()
    other_tab.get_by_role("button", name="Delete token").click()
    expect(other_tab.get_by_text("Token “Laptop” was deleted.")).to_be_visible()

    page.get_by_role("button", name="Delete token").click()

    expect(page.get_by_text("This token was already deleted.")).to_be_visible()
    expect(the_bin(page, "Laptop")).to_have_count(0)
    assert Token.objects.count() == 4
