from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from gettext import c2py
from http import HTTPStatus
from typing import Any
from xml.etree.ElementTree import Element

import pytest
import time_machine
from babel.messages.catalog import Catalog, Message
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.template import engines
from django.test import Client, RequestFactory, override_settings
from django.utils import timezone
from django.utils.translation import ngettext, override, to_language
from pytest_django import Settings

from access_tokens.models import Token
from access_tokens.templatetags.access_tokens import time_ago
from access_tokens.views import TokenListView
from scripts.messages import (
    LANGUAGES,
    PACKAGE,
    extract_messages,
    mo_file,
    po_file,
    po_path,
    update_catalog,
)

from .factories import TokenFactory, UserFactory
from .html import Page

LIST = "/account/tokens/"
CREATE = f"{LIST}new/"
ADMIN = "/admin/access_tokens/token/"
NOW = "2026-11-24 12:00:00Z"

PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%")
MARKUP = re.compile(r"</?\w+>|[\"<>&]")
OTHER_SCRIPTS = {"ar", "ja", "zh_Hans"}
LATIN_WORDS = re.compile(r"[A-Za-z’]{2,} [A-Za-z’]{2,}")
ATTRIBUTES = re.compile(r"alt|aria-label|data-(?!at-)[a-z-]+|placeholder|title")

MESSAGES = extract_messages()
CATALOGS = {language: update_catalog(language, MESSAGES) for language in LANGUAGES}

DATES = {
    "ar": ["24 نوفمبر، 2026", "25 نوفمبر، 2026"],
    "de": ["24. November 2026", "25. November 2026"],
    "es": ["24 de noviembre de 2026", "25 de noviembre de 2026"],
    "fr": ["24 novembre 2026", "25 novembre 2026"],
    "ja": ["2026年11月24日", "2026年11月25日"],
    "pt_BR": ["24 de novembro de 2026", "25 de novembro de 2026"],
    "zh_Hans": ["2026年11月24日", "2026年11月25日"],
}
# Never, just now, one hour ago and five hours ago.
LAST_USED = {
    "ar": ["أبدًا", "الآن", "منذ ساعة واحدة", "منذ 5 ساعات"],
    "de": ["Nie", "Gerade eben", "vor 1 Stunde", "vor 5 Stunden"],
    "es": ["Nunca", "Ahora mismo", "hace 1 hora", "hace 5 horas"],
    "fr": ["Jamais", "À l’instant", "il y a 1 heure", "il y a 5 heures"],
    "ja": ["未使用", "たった今", "1時間前", "5時間前"],
    "pt_BR": ["Nunca", "Agora mesmo", "há 1 hora", "há 5 horas"],
    "zh_Hans": ["从未", "刚刚", "1 小时前", "5 小时前"],
}
DAYS = [1, 2, 5, 11, 100]
EXPIRES = {
    "ar": [
        "تنتهي صلاحيته بعد يوم واحد",
        "تنتهي صلاحيته بعد يومين",
        "تنتهي صلاحيته بعد 5 أيام",
        "تنتهي صلاحيته بعد 11 يومًا",
        "تنتهي صلاحيته بعد 100 يوم",
    ],
    "de": ["Läuft in 1 Tag ab", *(f"Läuft in {days} Tagen ab" for days in DAYS[1:])],
    "es": ["Caduca en 1 día", *(f"Caduca en {days} días" for days in DAYS[1:])],
    "fr": ["Expire dans 1 jour", *(f"Expire dans {days} jours" for days in DAYS[1:])],
    "ja": [f"{days}日後に期限切れ" for days in DAYS],
    "pt_BR": ["Expira em 1 dia", *(f"Expira em {days} dias" for days in DAYS[1:])],
    "zh_Hans": [f"{days} 天后过期" for days in DAYS],
}

each_language = pytest.mark.parametrize("language", LANGUAGES)


def client_of(user: User, language: str) -> Client:
    client = Client(headers={"Accept-Language": to_language(language)})
    client.force_login(user)
    return client


@pytest.fixture(autouse=True)
def built_in_base(settings: Settings) -> None:
    settings.ACCESS_TOKENS = {}


@pytest.fixture(autouse=True)
def default_language(settings: Settings) -> Iterator[None]:
    # The language of a request stays active in its thread.
    with override(settings.LANGUAGE_CODE):
        yield


# The catalogues.


def texts(message: Message) -> list[str]:
    """Return the translation of a message, or of each of its plural forms."""
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


def translation(language: str, english: str) -> str:
    return texts(CATALOGS[language][english])[0]


def messages_of(catalog: Catalog) -> Iterator[tuple[str, Message]]:
    """Yield the messages without the header, each with its singular."""
    for message in catalog:
        if message.id:
            yield message.id if isinstance(message.id, str) else message.id[0], message


def test_each_catalogue_is_of_a_known_language() -> None:
    assert sorted(path.name for path in (PACKAGE / "locale").iterdir()) == sorted(LANGUAGES)


def test_strings_of_code_and_templates_are_extracted() -> None:
    found = dict(messages_of(MESSAGES))

    assert found.keys() >= {
        "Invalid access token.",  # gettext_lazy() as _()
        "“%(name)s” is ready to use.",  # blocktranslate trimmed
        "Your new token",  # translate in an attribute
        "Access Tokens",  # _() in another tag
    }
    assert found["Expires in %(days)d day"].id == (
        "Expires in %(days)d day",
        "Expires in %(days)d days",
    )


@each_language
def test_catalogue_matches_the_source(language: str) -> None:
    """If this fails, run ``make messages`` and translate the new strings."""
    assert po_path(language).read_bytes() == po_file(CATALOGS[language])


@each_language
def test_compiled_catalogue_matches_the_catalogue(language: str) -> None:
    """If this fails, run ``make messages``."""
    assert po_path(language).with_suffix(".mo").read_bytes() == mo_file(CATALOGS[language])


@each_language
def test_every_string_is_translated(language: str) -> None:
    messages = dict(messages_of(CATALOGS[language]))

    assert [text for text, message in messages.items() if not all(texts(message))] == []
    assert [text for text, message in messages.items() if message.fuzzy] == []


@each_language
def test_translation_keeps_placeholders_and_markup(language: str) -> None:
    catalog = CATALOGS[language]
    plural_form = c2py(catalog.plural_expr)

    for english, message in messages_of(catalog):
        if not all(texts(message)):
            continue  # another test reports it
        for form, text in enumerate(texts(message)):
            expected = sorted(PLACEHOLDER.findall(english))
            numbers = [number for number in range(1000) if plural_form(number) == form]
            # A form for a single number may spell it out.
            says_number = not message.pluralizable or len(numbers) != 1 or "%" in text
            assert sorted(PLACEHOLDER.findall(text)) == (expected if says_number else []), text
            assert MARKUP.findall(text) == MARKUP.findall(english), text
            assert "%" not in PLACEHOLDER.sub("", text), text


@each_language
def test_every_plural_form_is_translated(language: str) -> None:
    catalog = CATALOGS[language]
    forms = set(map(c2py(catalog.plural_expr), [*range(200), 1_000_000]))

    assert forms == set(range(catalog.num_plurals))
    assert {len(texts(m)) for _, m in messages_of(catalog) if m.pluralizable} == {len(forms)}


@each_language
def test_plural_agrees_with_the_number(language: str) -> None:
    one, many = "Expires in %(days)d day", "Expires in %(days)d days"

    with override(to_language(language)):
        said = [ngettext(one, many, days) % {"days": days} for days in DAYS]
    assert said == EXPIRES[language]


# The pages.


def page_of(response: Any) -> Page:
    assert response.status_code == HTTPStatus.OK
    return Page(response)


def own_pages(client: Client, user: User) -> Iterator[Page]:
    yield page_of(client.get(LIST))
    yield page_of(client.get(CREATE))
    yield page_of(client.post(CREATE, {"name": ""}))
    yield page_of(client.post(CREATE, {"name": "\u202e"}))
    yield page_of(client.post(CREATE, {"name": "\u2800"}))
    yield page_of(client.post(CREATE, {"name": "eternal", "expires_at": ""}))
    yield page_of(client.post(CREATE, {"name": "laptop", "expires_at": "90"}))
    yield page_of(client.post(CREATE, {"name": "laptop", "expires_at": "90"}))
    now = timezone.now()
    for days in [-1, 0, 1, 5]:
        TokenFactory.create(user=user, expires_at=now + timedelta(days=days, minutes=1))
    TokenFactory.create(user=user, last_used_at=now)
    token = TokenFactory.create(user=user, last_used_at=now - timedelta(days=100))
    yield page_of(client.get(LIST))
    yield page_of(client.get(f"{LIST}{token.pk}/delete/"))
    yield page_of(client.post(f"{LIST}{token.pk}/delete/", follow=True))
    yield page_of(client.get(LIST, {"page": "2"}))


def admin_pages(client: Client, user: User) -> Iterator[Page]:
    yield page_of(client.get(f"{ADMIN}add/"))
    fields = {"name": "laptop", "user": str(user.pk), "expires_at": ""}
    yield page_of(client.post(f"{ADMIN}add/", fields | {"name": ""}))
    yield page_of(client.post(f"{ADMIN}add/", fields | {"expires_at": "x"}))
    yield page_of(client.post(f"{ADMIN}add/", fields))
    yield page_of(client.post(f"{ADMIN}add/", fields))
    token = Token.objects.get()
    yield page_of(client.get("/admin/"))
    yield page_of(client.get(ADMIN))
    yield page_of(client.get(f"{ADMIN}{token.pk}/change/"))
    yield page_of(client.get(f"{ADMIN}{token.pk}/delete/"))
    chosen = {"action": "delete_selected", ACTION_CHECKBOX_NAME: str(token.pk)}
    yield page_of(client.post(ADMIN, chosen))


def rotation_pages(client: Client, user: User) -> Iterator[Page]:
    token = TokenFactory.create(user=user, name="laptop")
    url = f"{LIST}{token.pk}/rotate/"
    yield page_of(client.get(url))
    yield page_of(client.post(url))
    yield page_of(client.get(url))
    yield page_of(client.get(LIST))
    Token.objects.update(previous_ends_at=timezone.now() + timedelta(hours=1))
    yield page_of(client.get(LIST))
    yield page_of(client.post(f"{LIST}{token.pk}/end-previous/", follow=True))
    with override_settings(ACCESS_TOKENS={"ROTATION_OVERLAP": timedelta(0)}):
        yield page_of(client.get(url))
    yield page_of(client.post(url, {"end_previous_now": "on"}))
    Token.objects.update(expires_at=timezone.now())
    yield page_of(client.post(url))


def pages_of_scopes_and_limits(client: Client, user: User) -> Iterator[Page]:
    scopes = {"read": "Read", "write": "Write"}
    token = TokenFactory.create(user=user)
    Token.objects.filter(pk=TokenFactory.create(user=user).pk).update(scopes="read gone")
    limits = {"MAX_EXPIRY_DAYS": 30, "MAX_TOKENS_PER_USER": 2}
    with override_settings(ACCESS_TOKENS={"SCOPES": scopes} | limits):
        yield page_of(client.get(LIST))
        yield page_of(client.get(CREATE))
        token.delete()
        yield page_of(client.get(CREATE))
        yield page_of(client.post(CREATE, {"name": "laptop"}))
    with override_settings(ACCESS_TOKENS={"MAY_CREATE": lambda user: False}):
        yield page_of(client.get(LIST))
        yield page_of(client.get(CREATE))


def admin_pages_of_rotation_and_limits(client: Client, user: User) -> Iterator[Page]:
    token = TokenFactory.create(user=user, name="laptop")
    rotate, change = (f"{ADMIN}{token.pk}/{name}/" for name in ("rotate", "change"))
    yield page_of(client.get(rotate))
    yield page_of(client.post(rotate))
    yield page_of(client.get(change))
    yield page_of(client.post(f"{ADMIN}{token.pk}/end-previous/", follow=True))
    scopes = {"read": "Read", "write": "Write"}
    with override_settings(ACCESS_TOKENS={"SCOPES": scopes, "MAX_TOKENS_PER_USER": 1}):
        yield page_of(client.get(ADMIN))
        yield page_of(client.get(change))
        fields = {"name": "other", "user": str(user.pk), "expires_at": "", "scopes": "read"}
        yield page_of(client.post(f"{ADMIN}add/", fields))


def tag_pages(client: Client, user: User) -> Iterator[Page]:
    request = RequestFactory().get("/")
    request.user = user
    template = engines["django"].from_string("{% load access_tokens %}{% access_tokens_table %}")
    with override(client.get(LIST).headers["Content-Language"]):
        table = template.render({}, request)
    yield Page(HttpResponse(f"<!DOCTYPE html><title>-</title>{table}"))


def nodes(element: Element) -> Iterator[str]:
    """Yield the text that people see or hear, without code and names."""
    if element.get("translate") != "no" and element.tag not in {"bdi", "script"}:
        yield element.text or ""
        yield from (text for name, text in element.items() if ATTRIBUTES.fullmatch(name))
        for child in element:
            yield from nodes(child)
            yield child.tail or ""


def left_in_english(page: Page, strings: Iterable[str]) -> list[str]:
    """Return the strings that are on the page."""
    seen = {" ".join(text.split()) for text in nodes(page.one("body"))}
    # A sentence may contain elements.
    all_seen = "\n".join([*seen, page.body])
    return [
        string
        for string in strings
        if (has_sentence(all_seen, string) if " " in string else string in seen)
    ]


def has_sentence(text: str, sentence: str) -> bool:
    parts = PLACEHOLDER.split(sentence)
    # Most aren't there, and this tells sooner than an expression.
    if not all(part in text for part in parts):
        return False
    words = ".+?".join(map(re.escape, parts))
    return re.search(rf"(?<!\w){words}(?!\w)", text) is not None


ADMIN_PAGES = [admin_pages, admin_pages_of_rotation_and_limits]


@pytest.mark.parametrize(
    "pages",
    [own_pages, rotation_pages, pages_of_scopes_and_limits, tag_pages, *ADMIN_PAGES],
)
@each_language
def test_page_is_completely_translated(
    db: None,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    pages: Callable[[Client, User], Iterator[Page]],
) -> None:
    monkeypatch.setattr(TokenListView, "paginate_by", 3)
    user = UserFactory.create(is_staff=True, is_superuser=True)
    ours = [
        english
        for english, message in messages_of(CATALOGS[language])
        if english not in texts(message) and re.search(r"\w{2}", PLACEHOLDER.sub("", english))
    ]

    for page in pages(client_of(user, language), user):
        assert left_in_english(page, ours) == []
        if language in OTHER_SCRIPTS and pages not in ADMIN_PAGES:
            # This also finds strings that are not marked for translation.
            assert [text for text in nodes(page.one("body")) if LATIN_WORDS.search(text)] == []


@each_language
def test_title_says_that_the_form_has_an_error(user: User, language: str) -> None:
    page = Page(client_of(user, language).post(CREATE))

    title = translation(language, "Error: %(title)s")
    title %= {"title": translation(language, "New access token")}
    assert page.title == title.replace("\xa0", " ")


@each_language
def test_page_has_the_direction_of_its_language(user: User, language: str) -> None:
    page = Page(client_of(user, language).get(LIST))

    assert page.root.get("lang") == to_language(language)
    assert page.root.get("dir") == ("rtl" if language == "ar" else "ltr")


@each_language
def test_api_answers_in_the_language_of_the_client(db: None, language: str) -> None:
    headers = {"Authorization": "Bearer nonsense", "Accept-Language": to_language(language)}

    answer = Client().get("/api/", headers=headers).json()
    assert answer == {"detail": translation(language, "Invalid access token.")}


# Dates and times.


@time_machine.travel("2026-11-24 23:30:00Z", tick=False)
@each_language
def test_date_follows_the_language_and_the_time_zone(user: User, language: str) -> None:
    client = client_of(user, language)
    TokenFactory.create(user=user)
    path = "td[@class='at-cell-created']"

    dates = [Page(client.get(LIST)).text(path)]
    with timezone.override("Europe/Berlin"):
        dates.append(Page(client.get(LIST)).text(path))
    # Versions of Django differ in the capital letters of months.
    assert [date.casefold() for date in dates] == [date.casefold() for date in DATES[language]]


@time_machine.travel(NOW, tick=False)
@each_language
def test_last_used_time_follows_the_language(user: User, language: str) -> None:
    never, *expected = LAST_USED[language]
    TokenFactory.create(user=user)

    page = Page(client_of(user, language).get(LIST))
    assert page.text("tbody/tr/td//span[@class='at-never']") == never
    with override(to_language(language)):
        now = timezone.now()
        ago = [time_ago(now - timedelta(hours=hours)) for hours in [0, 1, 5]]
    assert [text.replace("\xa0", " ") for text in ago] == expected
