"""No stylesheet of a site breaks the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from django.conf import settings as project
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django import Settings

from access_tokens.models import Token

from .states import CREATE, LIST, SCOPES, ask_for, configured, generate, make_tokens
from .test_accessibility import settle

HERE = Path(__file__).parent
AUDIT = (HERE / "audit.js").read_text()
WINDOWS: list[tuple[int, int, Literal["light", "dark"]]] = [
    (1180, 820, "light"),
    (1180, 820, "dark"),
    (390, 844, "light"),
    (320, 568, "dark"),
]
LANGUAGES = ["ar", "de", "en", "es", "fr", "ja", "pt-BR", "zh-Hans"]


class Host(NamedTuple):
    stylesheet: str
    html: str = ""


HOSTS = {
    "hostile": Host("hostile.css"),
    "mvp": Host("vendor/mvp.css", html='color-mode="user"'),
    "uikit": Host("vendor/uikit.min.css"),
    "uikit, dark": Host("vendor/uikit.min.css", html='class="uk-light uk-background-secondary"'),
    "water": Host("vendor/water.min.css"),
}
BASE = """{{% load i18n %}}{{% get_current_language as LANGUAGE_CODE %}}{{% get_current_language_bidi as RTL %}}
<!doctype html>
<html lang="{{{{ LANGUAGE_CODE }}}}" dir="{{{{ RTL|yesno:'rtl,ltr' }}}}" {html}>
<head>
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{{% block title %}}{{% endblock %}}</title>
  <link id="host" rel="stylesheet" href="/host.css">
</head>
<body><main>{{% block content %}}{{% endblock %}}</main></body>
</html>
"""
# What the stylesheet of the site changes when all that the page may inherit is the same.
CHANGES = """(width) => {
    document.querySelector("main").style = `all: initial; position: absolute; inset: 0 auto auto 0;
        width: ${width}px; font: 16px sans-serif`;
    const ours = [...document.querySelectorAll(".at, .at :not(link, script, [type=hidden], svg *)")];
    const parts = ours.flatMap(it => ["", "::before", "::after"].map(part => [it, part]));
    parts.push(...ours.filter(it => it.open).map(it => [it, "::backdrop"]));
    const read = ([it, part]) => {
        const style = getComputedStyle(it, part);
        return part && style.content === "none" ? {} : Object.fromEntries([...style].map(key => [key, style[key]]));
    };
    const host = document.getElementById("host").sheet;
    const [inside, alone] = [false, true].map(off => {
        host.disabled = off;
        return parts.map(read);
    });
    const found = new Set();
    parts.forEach(([it, part], index) => {
        for (const [key, value] of Object.entries(inside[index])) {
            if (alone[index][key] === value) continue;
            found.add(`${it.tagName} ${it.getAttribute("class")} ${part} ${key}: `
                + `${alone[index][key]} became ${value}`);
        }
    });
    return [...found];
}"""


SMALLEST = """() => Math.min(...[...document.querySelectorAll(".at *")]
    .filter(it => it.checkVisibility() && it.textContent.trim())
    .map(it => parseFloat(getComputedStyle(it).fontSize)))"""
PAINTED = """color => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
}"""


def background(page: Page, selector: str) -> list[int]:
    color = page.locator(selector).evaluate("it => getComputedStyle(it).backgroundColor")
    painted: list[int] = page.evaluate(PAINTED, color)
    return painted


def set_variable(page: Page, name: str, value: str) -> None:
    """Let the site set a variable of CSS, on the pages that are loaded from now on."""
    page.route("**/host.css", lambda route: route.fulfill(body=f":root {{ {name}: {value} }}"))


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest, page: Page, settings: Settings, tmp_path: Path) -> str:
    """A site that has no more than a stylesheet."""
    stylesheet, html = HOSTS.get(request.param, Host("/dev/null"))
    tmp_path.joinpath("host.html").write_text(BASE.format(html=html))
    settings.TEMPLATES = [{**project.TEMPLATES[0], "DIRS": [tmp_path]}]
    settings.ACCESS_TOKENS = {"BASE_TEMPLATE": "host.html"}
    page.route("**/host.css", lambda route: route.fulfill(path=HERE / stylesheet))
    name: str = request.param
    return name


def complaints(page: Page) -> list[str]:
    """Return what is wrong in windows of all sizes, in the light and in the dark."""
    found = []
    for width, height, scheme in WINDOWS:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        settle(page)
        page.keyboard.press("Shift")  # as somebody who uses the keyboard, so that focus is shown
        found += [f"{width} px, {scheme}: {what}" for what in page.evaluate(AUDIT)]
    return found


def visit(page: Page, user: User) -> Iterator[None]:
    """Visit the states of the page one after the other, in any language."""
    make_tokens(user)
    token = Token.objects.filter(user=user)[0]
    Token.objects.rotate(token)
    page.goto(LIST)
    yield
    page.locator("[data-at-delete] button").first.click()
    page.locator("dialog[open]").wait_for()
    yield
    page.goto(f"{LIST}{token.pk}/delete/")
    yield
    page.goto(f"{LIST}{token.pk}/rotate/")
    yield
    with configured(SCOPES=SCOPES):
        page.goto(LIST)
        yield
        page.goto(CREATE)
        yield
    ask_for(page, "Laptop")
    page.locator("[aria-invalid]").wait_for()
    yield
    generate(page)
    yield


def test_stylesheet_changes_nothing_that_is_ours(page: Page, user: User, host: str) -> None:
    for _ in visit(page, user):
        assert [page.evaluate(CHANGES, width) for width in [800, 300]] == [[], []]


@pytest.mark.parametrize(
    ("host", "language"),
    [
        pytest.param(host, language, marks=pytest.mark.browser_context_args(locale=language))
        for host in HOSTS
        for language in (LANGUAGES if host == "hostile" else ["ar", "en"])
    ],
    indirect=["host"],
)
def test_page_holds_in_any_site(page: Page, user: User, host: str, language: str) -> None:
    states = visit(page, user)

    assert [what for _ in states for what in complaints(page)] == []
    expect(page.locator("html")).to_have_attribute("lang", language.lower())


@pytest.mark.parametrize("root", ["10px", "24px"])
@pytest.mark.parametrize("host", ["hostile"], indirect=True)
def test_page_holds_with_any_font_size_of_the_root(
    page: Page, user: User, host: str, root: str
) -> None:
    for _ in visit(page, user):
        page.evaluate("size => document.documentElement.style.fontSize = size", root)

        assert complaints(page) == []
        assert page.evaluate(SMALLEST) >= 13


# What a site decides


ACCENTS = {
    "--at-accent": "#7a1fa2",
    "--bs-primary": "#0d6efd",
    "--tblr-primary": "#066fd1",
    "--color-primary": "oklch(45% 0.24 277)",
    "--md-sys-color-primary": "#6750a4",
    "--pico-primary-background": "#0172ad",
    "--bulma-link": "hsl(233, 100%, 63%)",
    "--button-bg": "#417690",
}


@pytest.mark.parametrize(("variable", "color"), ACCENTS.items())
@pytest.mark.parametrize("host", ["bare"], indirect=True)
def test_button_has_the_accent_of_the_site(
    page: Page, host: str, variable: str, color: str
) -> None:
    set_variable(page, variable, color)
    page.goto(LIST)

    assert background(page, ".at-btn--primary") == page.evaluate(PAINTED, color)
    assert page.evaluate(AUDIT) == []


@pytest.mark.parametrize("color", ["#ffd43b", "#9be7a4", "#777", "#767676", "#000", "#fff"])
@pytest.mark.parametrize("host", ["bare"], indirect=True)
def test_text_on_any_accent_is_readable(page: Page, host: str, color: str) -> None:
    set_variable(page, "--at-accent", color)
    page.goto(LIST)

    assert page.evaluate(AUDIT) == []


@pytest.mark.parametrize("host", ["bare"], indirect=True)
def test_variable_that_is_no_color_is_no_accent(page: Page, host: str) -> None:
    page.goto(LIST)
    without = background(page, ".at-btn--primary")
    set_variable(page, "--color-primary", "79 70 229")  # for rgb(var(--color-primary) / 50%)
    page.goto(LIST)

    assert background(page, ".at-btn--primary") == without


@pytest.mark.parametrize(
    ("style", "padding"),
    [
        ("body { margin: 0 }", "16px"),
        ("body { margin: 0; padding: 0 24px }", "0px"),
        ("body { margin: 0 } :root { --at-padding: 3px 7px }", "3px 7px"),
    ],
    ids=["none", "some", "said"],
)
@pytest.mark.parametrize("host", ["bare"], indirect=True)
def test_page_is_padded_where_the_site_does_not(
    page: Page, host: str, style: str, padding: str
) -> None:
    page.goto(LIST)
    page.add_style_tag(content=style)

    assert page.locator(".at").evaluate("it => getComputedStyle(it).padding") == padding


@pytest.mark.parametrize("host", ["hostile"], indirect=True)
def test_elements_of_the_site_keep_their_look(page: Page, host: str) -> None:
    page.goto(CREATE)
    page.locator(".at-form").evaluate(
        """form => {
            form.insertAdjacentHTML("beforeend", "<p>Ours</p><div class=at-field><input type=checkbox></div>");
            document.querySelector("main").insertAdjacentHTML("beforeend", "<p>Ours</p><input type=checkbox>");
        }"""
    )

    looks = page.evaluate(
        """["p:not([class])", "[type=checkbox]"].map(selector =>
            [...document.querySelectorAll(selector)].filter(it => !it.closest(".at-note"))
                .map(it => getComputedStyle(it).cssFloat + getComputedStyle(it).margin))"""
    )

    assert [len(look) for look in looks] == [2, 2]
    assert [len(set(look)) for look in looks] == [1, 1]


# Japanese


@pytest.mark.browser_context_args(locale="ja")
@pytest.mark.parametrize("host", ["bare"], indirect=True)
def test_japanese_introduction_breaks_between_phrases_and_fills_its_line(
    page: Page, host: str
) -> None:
    page.goto(LIST)
    introduction = page.locator(".at-lede")

    assert introduction.evaluate("it => getComputedStyle(it).wordBreak") == "auto-phrase"
    assert introduction.evaluate("it => it.offsetHeight") < 30  # one line
