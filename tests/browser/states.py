"""The pages of the app in all the states in which a visitor may see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

from django.conf import settings
from django.contrib.auth.models import User
from django.test import override_settings
from django.utils import timezone
from playwright.sync_api import Locator, Page

from access_tokens.models import Token
from access_tokens.views import TokenListView
from tests.factories import TokenFactory

LIST = "/account/tokens/"
CREATE = "/account/tokens/new/"
SINGLE_PAGE = "/single-page/"
# What the page and the browser still have.
KEPT = """() => JSON.stringify([
    document.documentElement.outerHTML, document.title, document.cookie, location.href,
    history.state, window.name, {...localStorage}, {...sessionStorage},
])"""
SCOPES = {"read": "Read", "write": "Read and write", "reports": "Run reports"}


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


def generate_by_api(page: Page, name: str = "laptop") -> str:
    """Make a token on the single page and return the secret that it shows."""
    page.goto(SINGLE_PAGE)
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create token").click()
    page.locator("#secret:not(:empty)").wait_for()
    return page.locator("#secret").inner_text()


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
    page.locator("tr", has_text="CI pipeline").locator("[data-at-delete] button").click()
    page.locator("dialog[open]").wait_for()


def deleted(page: Page, user: User) -> None:
    dialog(page, user)
    page.locator("dialog [type=submit]").click()
    page.locator("tr", has_text="CI pipeline").wait_for(state="detached")


def rotate_page(page: Page, user: User) -> None:
    TokenFactory.create(user=user, name="CI pipeline")
    page.goto(LIST)
    page.get_by_role("button", name="Rotate CI pipeline").click()
    page.locator("[name=end_previous_now]").wait_for()


def rotate_page_of_an_unused_token(page: Page, user: User) -> None:
    Token.objects.rotate(TokenFactory.create(user=user, name="CI pipeline"))
    page.goto(f"{LIST}{Token.objects.get().pk}/rotate/")


def rotation_that_failed(page: Page, user: User) -> None:
    rotate_page(page, user)
    Token.objects.update(expires_at=timezone.now())
    page.locator("form [type=submit]", has_text="Rotate token").click()
    page.get_by_role("alert").wait_for()


def rotated(page: Page, user: User) -> None:
    rotate_page(page, user)
    page.locator("form [type=submit]", has_text="Rotate token").click()
    secret_box(page).wait_for()


def leaked(page: Page, user: User) -> None:
    rotate_page(page, user)
    page.get_by_label("may have leaked").check()
    page.locator("form [type=submit]", has_text="Rotate token").click()
    secret_box(page).wait_for()


def filled_after_rotations(page: Page, user: User) -> None:
    make_tokens(user)
    for name in ("CI pipeline", "Laptop"):
        Token.objects.rotate(Token.objects.get(name=name))
    Token.objects.filter(name="Laptop").update(
        previous_ends_at=timezone.now() + timedelta(hours=20)
    )
    page.goto(LIST)


def ended(page: Page, user: User) -> None:
    filled_after_rotations(page, user)
    page.get_by_role("button", name="End now: old token of CI pipeline").click()
    page.get_by_text("The old token of “CI pipeline” no longer works.").wait_for()


@contextmanager
def configured(**values: Any) -> Iterator[None]:
    with override_settings(ACCESS_TOKENS=settings.ACCESS_TOKENS | values):
        yield


def filled_with_scopes(page: Page, user: User) -> None:
    make_tokens(user)
    scopes = {"Laptop": "read", "CI pipeline": "write reports", "Grafana dashboard": "read gone"}
    for name, names in scopes.items():
        Token.objects.filter(name=name).update(scopes=names)
    Token.objects.rotate(Token.objects.get(name="Laptop"))
    with configured(SCOPES=SCOPES):
        page.goto(LIST)


def form_with_scopes(page: Page, user: User) -> None:
    with configured(SCOPES=SCOPES, MAX_EXPIRY_DAYS=180):
        page.goto(f"{CREATE}?name=Reporting&days=30&scopes=reports")


def form_with_errors_in_scopes(page: Page, user: User) -> None:
    with configured(SCOPES=SCOPES):
        page.goto(CREATE)
        page.get_by_label("Read", exact=True).uncheck()
        page.locator(".at-form [type=submit]").click()
        page.get_by_label("Name").fill("laptop")
        page.locator(".at-form [type=submit]").click()
        page.get_by_text("Choose at least one scope.").wait_for()


def list_at_the_limit(page: Page, user: User) -> None:
    make_tokens(user)
    with configured(MAX_TOKENS_PER_USER=5):
        page.goto(LIST)


def form_at_the_limit(page: Page, user: User) -> None:
    make_tokens(user)
    with configured(MAX_TOKENS_PER_USER=5):
        page.goto(CREATE)


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
    rotate_page,
    rotate_page_of_an_unused_token,
    rotation_that_failed,
    rotated,
    leaked,
    filled_after_rotations,
    ended,
    filled_with_scopes,
    form_with_scopes,
    form_with_errors_in_scopes,
    list_at_the_limit,
    form_at_the_limit,
]
