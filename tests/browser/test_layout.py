"""The pages fit: narrow, enlarged, from right to left, in forced colors, with any name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Page, expect

from example_project.context_processors import LOOKS
from tests.factories import TokenFactory

from .states import (
    LIST,
    STATES,
    dialog,
    filled,
    form_with_error,
    generate,
    reveal,
    secret_box,
    the_bin,
)

SIZES = {
    "on a desktop": (1180, 820),
    "on a desktop at 200 %": (590, 410),
    "on a phone": (390, 844),
    "on a narrow phone": (320, 568),
}
HOSTILE_NAMES = [
    "<script>document.title = 'hostile'</script>",
    "<img src=x onerror=\"document.title = 'hostile'\">",
    "W" * 100,
    "漢" * 100,
    "👩‍👩‍👧‍👦" * 14,
    "abc אבג def مرحبا ghi",
    "]]>--></bdi></td></table></dialog>",
]


def overflows(page: Page) -> list[str]:
    """Return where the page, or a box in it, would have to be scrolled sideways."""
    found = []
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        boxes: list[str] = page.evaluate(
            """() => [...document.querySelectorAll("html, .at, .at *")]
                .filter(box => box.clientWidth && box.scrollWidth > box.clientWidth)
                .filter(box => getComputedStyle(box).overflowX !== "hidden")
                .map(box => `${box.tagName} ${box.className}`)"""
        )
        found += [f"{box} {size}" for box in boxes]
    return found


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_page_needs_no_scrolling_sideways(
    page: Page, user: User, state: Callable[[Page, User], None]
) -> None:
    state(page, user)

    assert overflows(page) == []


@pytest.mark.parametrize("look", LOOKS)
def test_bin_is_in_sight_in_every_look(
    page: Page, context: BrowserContext, user: User, base_url: str, look: str
) -> None:
    context.add_cookies([{"name": "look", "value": look, "url": base_url}])
    filled(page, user)

    assert overflows(page) == []
    the_bin(page, "Laptop").click()
    expect(page.get_by_role("dialog")).to_be_in_viewport(ratio=1)
    assert overflows(page) == []


@pytest.mark.parametrize("look", LOOKS)
def test_example_project_fits_in_every_look(
    page: Page, context: BrowserContext, base_url: str, look: str
) -> None:
    context.add_cookies([{"name": "look", "value": look, "url": base_url}])

    for path in ["/", "/account/login/"]:
        page.goto(path)
        assert overflows(page) == []


def test_text_of_twice_the_size_fits(page: Page, user: User) -> None:
    filled(page, user)

    page.evaluate("document.documentElement.style.fontSize = '200%'")

    assert overflows(page) == []
    the_bin(page, "Laptop").click(trial=True)


@pytest.mark.parametrize(
    ("language", "direction"),
    [
        pytest.param("ar", "rtl", marks=pytest.mark.browser_context_args(locale="ar")),
        pytest.param("de", "ltr", marks=pytest.mark.browser_context_args(locale="de-DE")),
        pytest.param("ja", "ltr", marks=pytest.mark.browser_context_args(locale="ja")),
    ],
)
@pytest.mark.parametrize("state", [filled, form_with_error, reveal, dialog])
def test_page_fits_in_other_languages(
    page: Page, user: User, language: str, direction: str, state: Callable[[Page, User], None]
) -> None:
    state(page, user)

    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.locator("html")).to_have_attribute("dir", direction)
    assert overflows(page) == []


@pytest.mark.browser_context_args(locale="ar")
def test_secret_reads_from_left_to_right_everywhere(page: Page) -> None:
    generate(page)

    assert secret_box(page).evaluate("element => getComputedStyle(element).direction") == "ltr"


# Names


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_name_is_shown_and_nothing_else(
    page: Page, user: User, console: list[str], name: str
) -> None:
    TokenFactory.create(user=user, name=name)
    page.goto(LIST)

    expect(page.locator("tbody bdi")).to_have_text(name)
    assert overflows(page) == []
    page.locator("[data-at-delete] button").click()
    expect(page.get_by_role("dialog")).to_contain_text(name)
    assert overflows(page) == []
    page.locator("dialog [type=submit]").click()
    expect(page.get_by_text(f"Token “{name}” was deleted.")).to_be_visible()
    assert overflows(page) == []
    assert page.title() == "Access Tokens"
    assert console == []


# What a visitor asks of the browser


def test_bin_is_seen_in_forced_colors(page: Page, user: User) -> None:
    page.emulate_media(forced_colors="active")
    filled(page, user)

    colors = the_bin(page, "Laptop").evaluate(
        """button => [
            getComputedStyle(button.querySelector("svg")).stroke,
            getComputedStyle(button).borderTopColor,
        ]"""
    )

    assert set(colors).isdisjoint({"rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"})


def test_nothing_moves_where_motion_is_reduced(page: Page, user: User) -> None:
    page.emulate_media(reduced_motion="reduce")
    dialog(page, user)

    moving = page.evaluate(
        """[...document.querySelectorAll(".at, .at *")].filter(element => {
            const style = getComputedStyle(element);
            return style.animationName !== "none" || style.transitionDuration !== "0s";
        }).length"""
    )

    assert moving == 0


def test_dialog_appears_gently_elsewhere(page: Page, user: User) -> None:
    page.emulate_media(reduced_motion="no-preference")
    dialog(page, user)

    assert page.locator("dialog").evaluate("it => getComputedStyle(it).animationName") != "none"


def test_secret_can_be_selected_by_one_click(page: Page, user: User) -> None:
    reveal(page, user)

    secret_box(page).click()

    assert page.evaluate("getSelection().toString()") == secret_box(page).inner_text()
