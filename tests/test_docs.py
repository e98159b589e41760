"""The documentation has every name that a site can rely on."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.dispatch import Signal

import access_tokens
from access_tokens import signals, urls
from access_tokens.api import urls as api_urls
from access_tokens.checks.links import DOCUMENTATION
from access_tokens.conf import DEFAULTS
from access_tokens.exceptions import Reason
from access_tokens.templatetags.access_tokens import register

from .docs import DOCS, PAGES, README, ROOT

URLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
PACKAGE = Path(access_tokens.__file__).parent
# Only code counts, since prose can use a word like "unknown" in another sense.
CODE = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", DOCS, re.DOTALL))


def commands() -> Iterable[str]:
    return (name for name, app in get_commands().items() if app == "access_tokens")


def check_ids() -> Iterable[str]:
    source = "".join(path.read_text() for path in (PACKAGE / "checks").glob("*.py"))
    return (f"access_tokens.{number}" for number in set(re.findall(r"[EW]\d{3}", source)))


def templates() -> Iterable[str]:
    root = PACKAGE / "templates"
    return (
        path.relative_to(root).as_posix()
        for path in root.rglob("*.*")
        # The documentation describes the icons by a pattern.
        if path.parent.name != "icons"
    )


def blocks() -> Iterable[str]:
    paths = (PACKAGE / "templates/access_tokens").glob("*.html")
    source = "".join(path.read_text() for path in paths)
    return set(re.findall(r"{% block (\w+)", source))


def css_variables() -> Iterable[str]:
    source = (PACKAGE / "static/access_tokens/access_tokens.css").read_text()
    return set(re.findall(r"var\((--at-[a-z-]+)", source))


def names() -> list[tuple[str, str]]:
    kinds: dict[str, Iterable[str]] = {
        "setting": DEFAULTS,
        "command": commands(),
        "signal": (name for name, value in vars(signals).items() if isinstance(value, Signal)),
        "reason": (str(reason) for reason in Reason),
        "check": check_ids(),
        "url": (
            f"{module.app_name}:{pattern.name}"
            for module in (urls, api_urls)
            for pattern in module.urlpatterns
        ),
        "template": templates(),
        "block": blocks(),
        "css": css_variables(),
        "tag": [*register.tags, *register.filters],
    }
    return [(kind, name) for kind, found in kinds.items() for name in sorted(found)]


def test_names_of_every_kind_are_found() -> None:
    assert {kind for kind, _ in names()} == {
        "setting", "command", "signal", "reason", "check", "url", "template", "block", "css", "tag",
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), names())
def test_documentation_has_the_name(kind: str, name: str) -> None:
    # The documentation may leave out the directory of a template.
    word = name.rpartition("/")[2] if kind == "template" else name
    assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", CODE), f"{kind} {name}"


@pytest.mark.parametrize("kind", ["setting", "check", "css", "command"])
def test_documentation_has_no_unknown_name(kind: str) -> None:
    patterns = {
        "setting": r"^### `([A-Z_]+)`$",
        "check": r"access_tokens\.[EW]\d{3}",
        "css": r"`(--at-[a-z-]+)`",
        "command": r"manage\.py (\w*access_token\w*)",
    }

    said = set(re.findall(patterns[kind], DOCS, re.MULTILINE))
    assert said <= {name for known, name in names() if known == kind}


def section(page: str, name: str) -> str:
    """Return what the page says under the heading of the name."""
    (found,) = re.findall(rf"^### `{re.escape(name)}`\n\n(.*?)\n(?=#|\Z)", PAGES[page], re.S | re.M)
    return str(found)


@pytest.mark.parametrize("name", DEFAULTS)
def test_setting_has_a_section_with_type_default_and_meaning(name: str) -> None:
    first, *meaning = section("settings", name).split("\n\n")
    (default,) = re.findall(r"^Type: .* Default: `(.*)`$", first)
    value = eval(default, {"timedelta": timedelta})  # noqa: S307  # the documentation's own code
    assert value == (list(DEFAULTS[name]) if isinstance(DEFAULTS[name], tuple) else DEFAULTS[name])
    assert meaning


@pytest.mark.parametrize("number", sorted(check_ids()))
def test_check_has_a_section_to_which_its_hint_can_link(number: str) -> None:
    assert section("checks", number)


def pages_of_the_site() -> set[str]:
    return {
        f"{name.removesuffix('index')}{'' if name.endswith('index') else '.html'}" for name in PAGES
    }


def test_readme_links_to_pages_that_exist() -> None:
    paths = re.findall(rf"{re.escape(URLS['Documentation'])}([^\s)#]*)", README)

    assert {"", "quickstart.html", "settings.html"} <= set(paths) <= pages_of_the_site()


def test_every_link_and_picture_of_the_readme_is_absolute() -> None:
    targets = re.findall(r"(?:\]\(|^\[[^]]+\]: |src=\"|srcset=\")([^)\s\"]+)", README, re.MULTILINE)

    assert len(targets) > 10
    assert all(target.startswith("https://") for target in targets)


def test_pictures_of_the_readme_are_in_the_repository() -> None:
    pictures = re.findall(
        r"https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/main/(\S+\.png)", README
    )

    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)


def test_checks_link_to_the_documentation_of_the_package() -> None:
    assert f"{URLS['Documentation']}checks.html" == DOCUMENTATION


def test_index_lists_every_page() -> None:
    listed = set(re.findall(r"^[\w/-]+$", PAGES["index"], re.MULTILINE))
    children = set(re.findall(r"^[\w-]+$", PAGES["moving/index"], re.MULTILINE))

    assert listed | {f"moving/{page}" for page in children} == PAGES.keys() - {"index"}


def test_readme_has_the_numbers_of_the_performance_page() -> None:
    numbers = re.compile(r"\d\.\d\d / \d\.\d\d")
    rows = [found for line in README.splitlines() if (found := numbers.findall(line))]

    assert len(rows) == 3
    assert all(row in map(numbers.findall, PAGES["performance"].splitlines()) for row in rows)
