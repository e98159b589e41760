"""What the README says about extending: its own code, on the real page."""

import re
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.core.cache import cache
from django.http import HttpRequest
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.urls import include, path
from pytest_django import Settings

from access_tokens.forms import TokenForm
from access_tokens.models import Token
from access_tokens.signals import token_rejected
from access_tokens.views import TokenCreateView
from example_project.urls import urlpatterns as example_urlpatterns

from .factories import KnownToken

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
LIST = "/account/tokens/"
NEW = "/account/tokens/new/"


def readme_code(start: str) -> str:
    """Return the code block of the README in which a line starts with ``start``."""
    blocks: list[str] = re.findall(r"```\w+\n(.*?)```", README, re.DOTALL)
    (block,) = (b for b in blocks if any(line.startswith(start) for line in b.splitlines()))
    return block


def has_recent_login(request: HttpRequest) -> bool:
    return "recent" in request.GET


NAMESPACE: dict[str, Any] = {
    "TokenCreateView": TokenCreateView,
    "TokenForm": TokenForm,
    "forms": forms,
    "has_recent_login": has_recent_login,
    "include": include,
    "path": path,
    "redirect_to_login": redirect_to_login,
}
for line in ("class RecentLoginTokenCreateView", "class TeamTokenForm", "def hook"):
    exec(readme_code(line), NAMESPACE)  # noqa: S102  # the README's own code

urlpatterns = [*NAMESPACE["urlpatterns"], *example_urlpatterns]


@pytest.fixture
def templates(settings: Settings, tmp_path: Path) -> Path:
    """Return a directory of templates that comes before those of the app."""
    engine = dict(settings.TEMPLATES[0], DIRS=[tmp_path])
    settings.TEMPLATES = [engine]
    (tmp_path / "access_tokens").mkdir()
    return tmp_path


def page(client: Client, user: User, url: str = LIST) -> str:
    client.force_login(user)
    return client.get(url).content.decode()


def test_one_block_of_a_page_can_be_replaced(
    templates: Path, client: Client, token: KnownToken
) -> None:
    code = readme_code('{% extends "access_tokens/token_list.html" %}')
    (templates / "access_tokens/token_list.html").write_text(code)
    html = page(client, token.user)
    assert "Questions? Ask the platform team." in html
    assert "Access Tokens</h1>" in html


def test_a_partial_can_be_replaced(templates: Path, client: Client, user: User) -> None:
    (templates / "access_tokens/_empty.html").write_text("<p>Nothing yet.</p>")
    assert "<p>Nothing yet.</p>" in page(client, user)


def test_a_page_can_be_replaced(templates: Path, client: Client, user: User) -> None:
    (templates / "access_tokens/token_form.html").write_text("{{ page_title }}: {{ form.name }}")
    assert page(client, user, NEW).startswith("New access token: <input")


def test_a_base_with_another_block_needs_three_lines(
    templates: Path, settings: Settings, client: Client, user: User
) -> None:
    settings.ACCESS_TOKENS = {}
    site = "<title>Site</title><main>{% block main %}{% endblock %}</main>"
    (templates / "site.html").write_text(site)
    (templates / "access_tokens/base.html").write_text(readme_code('{% extends "site.html" %}'))
    html = page(client, user)
    assert html.startswith("<title>Site</title><main>")
    assert "Access Tokens</h1>" in html


def test_the_table_can_stand_on_a_page_of_the_site(rf: RequestFactory, token: KnownToken) -> None:
    request = rf.get("/settings/")
    request.user = token.user
    html = Template(readme_code("{% load access_tokens %}")).render(Context({"request": request}))
    assert token.name in html
    assert "Manage access tokens" in html


@pytest.mark.urls("tests.test_extending")
def test_a_view_can_ask_for_a_recent_login(client: Client, user: User) -> None:
    client.force_login(user)
    assert client.get(NEW).status_code == 302
    assert client.post(NEW, {"name": "CI", "expires_at": ""}).status_code == 302
    assert not Token.objects.exists()
    assert client.post(f"{NEW}?recent", {"name": "CI", "expires_at": ""}).status_code == 200
    assert Token.objects.get().name == "CI"


def test_a_form_can_add_a_rule(user: User) -> None:
    form = NAMESPACE["TeamTokenForm"]({"name": "CI"}, instance=Token(user=user))
    assert form.errors == {"name": ["Start the name with “team-”."]}
    assert NAMESPACE["TeamTokenForm"]({"name": "team-CI"}, instance=Token(user=user)).is_valid()


def test_a_text_can_be_changed_by_a_catalogue_of_the_site(
    settings: Settings, tmp_path: Path, client: Client, user: User
) -> None:
    from babel.messages.catalog import Catalog
    from babel.messages.mofile import write_mo

    catalogue = Catalog(locale="de")
    catalogue.add("Keep your tokens safe", "Aufpassen!")
    messages = tmp_path / "de/LC_MESSAGES"
    messages.mkdir(parents=True)
    with (messages / "django.mo").open("wb") as file:
        write_mo(file, catalogue)
    settings.LOCALE_PATHS = [tmp_path]
    client.force_login(user)
    html = client.get(LIST, headers={"accept-language": "de"}).content.decode()
    assert "Aufpassen!" in html


def test_a_style_can_be_set_by_a_variable() -> None:
    css = (ROOT / "access_tokens/static/access_tokens/access_tokens.css").read_text()
    variables = re.findall(r"(--at-[\w-]+):", readme_code(":root"))
    assert [f"var({variable}" in css for variable in variables] == [True, True]


def test_the_secret_is_kept_from_the_session_recorders_that_the_readme_names() -> None:
    section = README.split("### Session recorders")[1].split("###")[0]
    box = (ROOT / "access_tokens/templates/access_tokens/_secret.html").read_text()
    classes = re.findall(r"\(`([\w-]+)`\)", section)

    assert f'class="at-secret {" ".join(classes)}"' in box
    assert len(classes) == 5


def test_a_plain_view_can_verify_and_record(rf: RequestFactory, token: KnownToken) -> None:
    hook = NAMESPACE["hook"]
    assert hook(rf.get("/")).status_code == 401
    assert token.last_used_at is None
    hook(rf.get("/", headers={"x-token": token.secret}))
    token.refresh_from_db()
    assert token.last_used_at is not None


def test_refusals_can_be_throttled_before_authentication(client: Client, db: None) -> None:
    namespace = dict(NAMESPACE)
    exec(readme_code("@receiver(token_rejected)"), namespace)  # noqa: S102  # the README's own code
    try:
        statuses = [
            client.get("/api/me/", headers={"authorization": "Bearer x"}).status_code
            for _ in range(101)
        ]
    finally:
        token_rejected.disconnect(namespace["throttle"])
        cache.clear()
    assert statuses == [401] * 100 + [403]
