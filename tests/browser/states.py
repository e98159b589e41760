"""The pages of the app in all the states in which a visitor may see them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from unittest import mock

from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Locator, Page

from access_tokens.models import Token
from access_tokens.views import TokenListView
from tests.factories import TokenFactory

LIST = "/account/tokens/"
CREATE = "/account/tokens/new/"


def make_tokens(user: User) -> None:
    """Make five tokens, as they may look after a year."""
    now = timezone.now()
    # name, and how long ago it was created, was used last and expires
    for name, created, used, expires in [
        ("Contractor access (Q3)", timedelta(145), timedelta(54), timedelta(53)),
        ("Laptop", timedelta(2), None, None),
        ("Grafana dashboard", timedelta(276), timedelta(234), None),
        ("Nightly warehouse export", timedelta(162), timedelta(hours=14), timedelta(-203)),
        ("CI pipeline", timedelta(82), timedelta(hours=2), timedelta(-6)),
    ]:
        TokenFactory.create(
            user=user,
            name=name,
            created_at=now - created,
            last_used_at=None if used is None else now - used,
            expires_at=None if expires is None else now - expires,
        )


def the_bin(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=f"Delete {name}")


def generate(page: Page, name: str = "laptop") -> str:
    """Make a token on the page and return the secret that it shows."""
    ask_for(page, name)
    return secret_box(page).inner_text()


def ask_for(page: Page, name: str) -> None:
    page.goto(CREATE)
    page.locator(".at-form [name=name]").fill(name)
    page.locator(".at-form [type=submit]").click()


def secret_box(page: Page) -> Locator:
    return page.locator("[data-at-secret] code")


# Each takes the visitor to one state.


def empty(page: Page, user: User) -> None:
    page.goto(LIST)


def filled(page: Page, user: User) -> None:
    make_tokens(user)
    page.goto(LIST)


def paginated(page: Page, user: User) -> None:
    make_tokens(user)
    with mock.patch.object(TokenListView, "paginate_by", 2):
        page.goto(f"{LIST}?page=2")


def form(page: Page, user: User) -> None:
    page.goto(CREATE)


def form_with_error(page: Page, user: User) -> None:
    TokenFactory.create(user=user, name="laptop")
    ask_for(page, "laptop")
    page.locator("[aria-invalid]").wait_for()


def reveal(page: Page, user: User) -> None:
    generate(page, "CI pipeline")


def copied(page: Page, user: User) -> None:
    generate(page)
    page.locator("[data-at-copy]").click()
    page.locator("[data-copied]").wait_for()


def delete_page(page: Page, user: User) -> None:
    make_tokens(user)
    page.goto(f"{LIST}{Token.objects.get(name='CI pipeline').pk}/delete/")


def dialog(page: Page, user: User) -> None:
    filled(page, user)
    page.locator("tr", has_text="CI pipeline").get_by_role("button").click()
    page.locator("dialog[open]").wait_for()


def deleted(page: Page, user: User) -> None:
    dialog(page, user)
    page.locator("dialog [type=submit]").click()
    page.locator("tr", has_text="CI pipeline").wait_for(state="detached")


STATES: list[Callable[[Page, User], None]] = [
    empty,
    filled,
    paginated,
    form,
    form_with_error,
    reveal,
    copied,
    delete_page,
    dialog,
    deleted,
]
