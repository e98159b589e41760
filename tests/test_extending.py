"""The code in the documentation works as the documentation says."""

import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from django import forms
from django.contrib.auth.models import User
from django.template import Context, Template
from django.test import Client, RequestFactory
from pytest_django import Settings

from access_tokens.forms import TokenForm
from access_tokens.models import Token

from .docs import BLOCKS, PAGES, ROOT, code_block
from .factories import KnownToken
from .processes import run_pytest

LIST = "/account/tokens/"
NEW = "/account/tokens/new/"


NAMESPACE: dict[str, Any] = {"TokenForm": TokenForm, "forms": forms}
for line in ("class TeamTokenForm", "def hook"):
    exec(code_block(line), NAMESPACE)  # noqa: S102  # the documentation's own code


@pytest.fixture
def templates(settings: Settings, tmp_path: Path) -> Path:
    """Return a template directory that is searched before the app's."""
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
    code = code_block('{% extends "access_tokens/token_list.html" %}')
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
    (templates / "access_tokens/base.html").write_text(code_block('{% extends "site.html" %}'))
    html = page(client, user)
    assert html.startswith("<title>Site</title><main>")
    assert "Access Tokens</h1>" in html


def test_the_table_can_be_on_a_page_of_the_site(rf: RequestFactory, token: KnownToken) -> None:
    request = rf.get("/settings/")
    request.user = token.user
    html = Template(code_block("{% load access_tokens %}")).render(Context({"request": request}))
    assert token.name in html
    assert "Manage access tokens" in html


def test_a_site_can_be_made_of_the_modules_of_the_documentation(tmp_path: Path) -> None:
    """Run ``tests/site`` in a process of its own, since the site has other apps."""
    pages = {"docs/page.md", "docs/extending.md"}
    modules = {block.module: block.code for block in BLOCKS if block.module and block.page in pages}
    urls = modules["mysite/urls.py"]
    plain, allauth = (
        "from .decorators import recent_login_required\n",
        code_block("from allauth.account.decorators"),
    )
    modules |= {"mysite/urls.py": urls, "mysite/allauth_urls.py": urls.replace(plain, allauth)}
    for name, code in modules.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code)
    options = ["--ds", "tests.site.settings", "--no-migrations"]
    run_pytest("tests/site", *options, path=tmp_path)


def test_a_form_can_add_a_rule(user: User) -> None:
    form = NAMESPACE["TeamTokenForm"]({"name": "CI"}, instance=Token(user=user))
    assert form.errors == {"name": ["Start the name with “team-”."]}
    assert NAMESPACE["TeamTokenForm"]({"name": "team-CI"}, instance=Token(user=user)).is_valid()


def test_a_text_can_be_changed_by_a_catalogue_of_the_site(
    settings: Settings, tmp_path: Path, client: Client, user: User
) -> None:
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
    variables = re.findall(r"(--at-[\w-]+):", code_block(":root"))
    assert [f"var({variable}" in css for variable in variables] == [True, True]


def test_the_secret_is_kept_from_the_session_recorders_in_the_documentation() -> None:
    section = PAGES["page"].split("## Session recorders")[1].split("##")[0]
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
