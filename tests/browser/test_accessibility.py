"""axe-core finds nothing to complain about."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # ships no types
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Page

from access_tokens.models import Token
from example_project.context_processors import LOOKS
from tests.factories import TokenFactory

from .states import SCOPES, STATES, configured, generate_by_api, make_tokens

ADMIN = "/admin/access_tokens/token/"
FIND = "scope => axe.run(scope, {resultTypes: ['violations']}).then(found => found.violations)"


def complaints(page: Page, within: str = "html", without: str = "") -> list[str]:
    """Return what axe-core finds, in the light and in the dark."""
    page.evaluate(Axe().axe_script)
    scope = {"include": [within]} | ({"exclude": [without]} if without else {})
    found = []
    for scheme in ["light", "dark"]:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of these two
        settle(page)
        for violation in page.evaluate(FIND, scope):
            places = [node["target"] for node in violation["nodes"]]
            found.append(f"{scheme}: {violation['help']}: {places}")
    return found


def settle(page: Page) -> None:
    """Wait until no color is on its way to another."""
    page.evaluate(
        "Promise.allSettled(document.getAnimations().map(animation => animation.finished))"
    )


@pytest.fixture
def staff(user: User) -> User:
    user.is_staff = user.is_superuser = True
    user.save()
    return user


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_page_is_accessible(
    page: Page,
    context: BrowserContext,
    user: User,
    base_url: str,
    look: str,
    state: Callable[[Page, User], None],
) -> None:
    context.add_cookies([{"name": "look", "value": look, "url": base_url}])

    state(page, user)

    assert complaints(page) == []


@pytest.mark.parametrize("look", LOOKS)
def test_example_project_is_accessible(
    page: Page, context: BrowserContext, base_url: str, look: str
) -> None:
    context.add_cookies([{"name": "look", "value": look, "url": base_url}])

    for path in ["/", "/account/login/"]:
        page.goto(path)
        assert complaints(page) == []


# The admin. Its header, its navigation and its questions before a deletion are Django's to mend,
# as are the fields of a date and a time, which have no labels before Django 6.


def test_admin_reveal_is_accessible(page: Page, staff: User) -> None:
    page.goto(f"{ADMIN}add/")
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Save").click()
    page.locator("[data-at-secret]").wait_for()

    assert complaints(page, "main") == []


def test_admin_rotate_page_is_accessible(page: Page, staff: User) -> None:
    token = TokenFactory.create(user=staff, name="laptop")
    page.goto(f"{ADMIN}{token.pk}/change/")
    page.get_by_role("link", name="Rotate").click()
    page.get_by_label("may have leaked").wait_for()
    assert complaints(page, "main") == []

    page.get_by_role("button", name="Rotate token").click()
    page.locator("[data-at-secret]").wait_for()
    assert complaints(page, "main") == []


def test_admin_page_of_a_rotated_token_is_accessible(page: Page, staff: User) -> None:
    token = TokenFactory.create(user=staff, name="laptop", scopes=None)
    Token.objects.rotate(token)
    with configured(SCOPES=SCOPES):
        page.goto(ADMIN)
        assert complaints(page, "main") == []
        page.goto(f"{ADMIN}{token.pk}/change/")
        assert complaints(page, "main", without=".datetime") == []

    page.get_by_role("button", name="End now").click()
    page.get_by_text("The old token of “laptop” no longer works.").wait_for()


def test_admin_delete_page_is_accessible(page: Page, staff: User) -> None:
    token = TokenFactory.create(user=staff, name="laptop")

    page.goto(f"{ADMIN}{token.pk}/delete/")

    assert complaints(page, ".at") == []


def test_admin_delete_page_of_several_is_accessible(page: Page, staff: User) -> None:
    make_tokens(staff)
    page.goto(ADMIN)
    page.locator("#action-toggle").check()
    page.locator("[name=action]").select_option("delete_selected")
    page.locator("[name=index]").first.click()

    page.locator(".at").wait_for()

    assert complaints(page, ".at") == []


@pytest.mark.parametrize("path", ["", "add/", "change/"])
def test_admin_page_is_accessible(page: Page, staff: User, path: str) -> None:
    make_tokens(staff)
    page.goto(ADMIN + path.replace("change", f"{Token.objects.all()[0].pk}/change"))

    assert complaints(page, "main", without=".datetime") == []


def test_single_page_is_accessible(page: Page) -> None:
    generate_by_api(page)
    assert complaints(page) == []

    page.get_by_role("button", name="Delete laptop").click()
    assert complaints(page) == []
