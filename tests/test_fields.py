import unicodedata

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from access_tokens.fields import BIDI_CONTROLS, FORBIDDEN_CATEGORIES, NameField
from access_tokens.models import Token

from .factories import TokenFactory

FIELD = NameField(max_length=100)

any_text = st.text(st.characters(exclude_categories=()), max_size=110)


def clean(name: object) -> object:
    return FIELD.clean(name, None)


def code_of(name: object) -> str | None:
    with pytest.raises(ValidationError) as raised:
        clean(name)
    return raised.value.error_list[0].code


@pytest.mark.parametrize(
    "name",
    [
        "CI",
        "x",
        "ci-pipeline (2026)",
        "Ордер №5",
        "令牌",
        "שלום",
        "e\u0301",
        "👩\u200d💻",
        "a\u00a0b",
        "<b>",
        "x" * 100,
        "👩" * 100,
    ],
    ids=ascii,
)
def test_readable_name_is_kept_as_written(name: str) -> None:
    assert clean(name) == name


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\x1f"])
def test_name_is_trimmed(blank: str) -> None:
    assert clean(f"{blank}my token{blank}") == "my token"


def test_length_is_that_of_the_trimmed_name() -> None:
    assert clean(f" {'x' * 100} ") == "x" * 100


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (None, "null"),
        ("", "blank"),
        (" \t\n\u3000", "blank"),
        ("x" * 101, "max_length"),
        ("👩" * 101, "max_length"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\r\nSet-Cookie: b", "control"),
        ("\x1b[31mred", "control"),
        ("a\x7fb", "control"),
        ("a\x85b", "control"),
        ("a\u2028b", "control"),
        ("a\u2029b", "control"),
        ("a\ud800b", "control"),
        ("\u202egpj.exe", "control"),
        ("\u2066a\u2069", "control"),
        ("\u200f", "control"),
        ("\u200b", "invisible"),
        ("\ufeff", "invisible"),
        ("\u00ad\u2060", "invisible"),
        ("\u3164", "invisible"),
        ("\U0001d159", "invisible"),
        ("\U00013441\U00013442", "invisible"),
        ("\u115f\u1160", "invisible"),
        ("\u2800 \u2800", "invisible"),
        ("\u034f", "invisible"),
        ("\ue000", "invisible"),
        ("\U000e0041", "invisible"),
    ],
    ids=ascii,
)
def test_name_that_hides_something_is_refused(name: object, code: str) -> None:
    assert code_of(name) == code


@pytest.mark.parametrize("character", sorted(BIDI_CONTROLS), ids=ascii)
def test_bidi_control_is_refused_anywhere(character: str) -> None:
    assert code_of(f"a{character}b") == "control"


def test_bidi_controls_are_those_of_unicode() -> None:
    directional = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    marks = {"ARABIC LETTER MARK", "LEFT-TO-RIGHT MARK", "RIGHT-TO-LEFT MARK"}
    assert {
        c
        for c in map(chr, range(0x10000))
        if unicodedata.bidirectional(c) in directional or unicodedata.name(c, "") in marks
    } == BIDI_CONTROLS


@given(any_text)
def test_any_text_is_a_printable_name_or_a_validation_error(text: str) -> None:
    try:
        name = str(clean(text))
    except ValidationError:
        return
    assert name == text.strip()
    assert 1 <= len(name) <= 100
    assert not FORBIDDEN_CATEGORIES & set(map(unicodedata.category, name))
    assert not BIDI_CONTROLS & set(name)


@given(any_text)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    try:
        name = clean(text)
    except ValidationError:
        return
    assert clean(name) == name


# They differ in case, accent, dot, an invisible character, width and ligature.
DIFFERENT_NAMES = ["ci", "CI", "cí", "ci\u0301", "c\u0131", "c\u200bi", "\uff43\uff49", "ß", "ss"]


def test_names_are_compared_exactly_as_written(user: User) -> None:
    for name in DIFFERENT_NAMES:
        TokenFactory.create(user=user, name=name)

    for name in DIFFERENT_NAMES:
        assert Token.objects.get(user=user, name=name).name == name
        with pytest.raises(ValidationError):
            Token.objects.create_token(user=user, name=name)


def test_longest_name_survives_the_database(user: User) -> None:
    token = TokenFactory.create(user=user, name="👩" * 100)

    token.refresh_from_db()
    assert token.name == "👩" * 100


def test_filter_trims_as_the_field_does(user: User) -> None:
    TokenFactory.create(user=user, name="ci")

    assert Token.objects.filter(name=" ci ").exists()


def test_search_ignores_case(user: User) -> None:
    TokenFactory.create(user=user, name="Laptop")

    found = Token.objects.filter(name__icontains="lapTOP")
    assert found.exists()
    # As on MariaDB, whatever the database of this test is.
    (lookup,) = found.query.where.children
    sql, params = lookup.as_mysql(found.query.get_compiler(connection=connection), connection)  # type: ignore[union-attr]  # of this app
    assert (sql.count("LOWER("), params) == (2, ["%lapTOP%"])


@pytest.mark.parametrize(("vendor", "collation"), [("mysql", "utf8mb4_bin"), ("sqlite", None)])
def test_collation_is_named_only_where_the_default_ignores_case(
    vendor: str, collation: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "vendor", vendor)

    assert Token._meta.get_field("name").db_parameters(connection)["collation"] == collation


def test_mariadb_collation_is_no_part_of_a_migration() -> None:
    assert "db_collation" not in FIELD.deconstruct()[3]
