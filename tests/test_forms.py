from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.utils import timezone, translation
from pytest_django import Settings

from access_tokens.forms import TokenChangeForm, TokenForm, TokenRotateForm
from access_tokens.limits import end_of_day
from access_tokens.models import Token

from .factories import KnownToken, TokenFactory

NOON = "2026-11-24 12:00:00Z"


def unbound() -> TokenForm:
    """Return the form as the page shows it first."""
    return TokenForm(instance=Token(user=User()))


def fill(user: User, name: str = "laptop", **data: Any) -> TokenForm:
    return TokenForm({"name": name, **data}, instance=Token(user=user))


@time_machine.travel(NOON, tick=False)
def test_choices_say_their_dates() -> None:
    assert [str(label) for _value, label in unbound().fields["expires_at"].choices] == [  # type: ignore[attr-defined]  # a ChoiceField
        "7 days (Dec. 1, 2026)",
        "30 days (Dec. 24, 2026)",
        "60 days (Jan. 23, 2027)",
        "90 days (Feb. 22, 2027)",
        "1 year (Nov. 24, 2027)",
        "No expiration",
    ]


@time_machine.travel("2026-11-24 23:30:00Z", tick=False)
def test_dates_are_those_of_the_time_zone(settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"EXPIRY_DAYS": [1], "EXPIRY_DEFAULT_DAYS": 1}

    assert "Nov. 25, 2026" in str(unbound()["expires_at"])
    with timezone.override("Europe/Berlin"):
        assert "Nov. 26, 2026" in str(unbound()["expires_at"])


def test_choices_are_translated_and_localized() -> None:
    with translation.override("de"), time_machine.travel(NOON, tick=False):
        assert "24. November 2027" in str(unbound()["expires_at"])


@pytest.mark.parametrize(
    ("days", "label"), [(1, "1 day ("), (2, "2 days ("), (365, "1 year ("), (366, "366 days (")]
)
def test_choice_says_its_length(settings: Settings, days: int, label: str) -> None:
    settings.ACCESS_TOKENS = {"EXPIRY_DAYS": [days], "EXPIRY_DEFAULT_DAYS": days}

    assert f">{label}" in str(unbound()["expires_at"])


@pytest.mark.parametrize(
    ("configured", "initial"),
    [
        ({}, 90),
        ({"EXPIRY_DEFAULT_DAYS": 7}, 7),
        ({"EXPIRY_DEFAULT_DAYS": None}, None),
        ({"EXPIRY_DAYS": [30, 5], "EXPIRY_DEFAULT_DAYS": 5}, 5),
    ],
)
def test_one_choice_is_preselected(
    settings: Settings, configured: dict[str, Any], initial: int | None
) -> None:
    settings.ACCESS_TOKENS = configured

    selected = [w for w in unbound()["expires_at"].subwidgets if w.data["selected"]]
    assert [widget.data["value"] for widget in selected] == [initial or ""]


def test_choice_of_a_subclass_is_preselected() -> None:
    form = TokenForm(initial={"expires_at": 7}, instance=Token(user=User()))

    (selected,) = [w for w in form["expires_at"].subwidgets if w.data["selected"]]
    assert selected.data["value"] == 7


@pytest.mark.parametrize("days", [[], ()])
def test_no_choices_remove_the_field(settings: Settings, days: Any) -> None:
    settings.ACCESS_TOKENS = {"EXPIRY_DAYS": days}

    assert list(unbound().fields) == ["name"]


@pytest.mark.parametrize("use_tz", [True, False])
def test_token_expires_at_the_end_of_the_day(user: User, settings: Settings, use_tz: bool) -> None:
    settings.USE_TZ = use_tz
    settings.TIME_ZONE = "Europe/Berlin"

    # The clocks go back in between: the day is chosen, not a number of hours.
    with time_machine.travel("2026-10-20 21:30:00Z", tick=False):
        form = fill(user, expires_at="7")
        assert form.is_valid(), form.errors

    expires_at: datetime = form.cleaned_data["expires_at"]
    if use_tz:
        expires_at = timezone.localtime(expires_at)
    assert timezone.is_aware(expires_at) == use_tz
    assert expires_at.replace(tzinfo=None).isoformat() == "2026-10-27T23:59:59.999999"


def test_no_expiration_may_be_chosen(user: User) -> None:
    form = fill(user, expires_at="")

    assert form.is_valid()
    assert form.cleaned_data["expires_at"] is None


@time_machine.travel(NOON, tick=False)
@pytest.mark.parametrize(("days", "offered"), [(30, [30, None]), (None, [30, None]), (30, [30])])
def test_default_holds_where_a_template_lacks_the_field(
    user: User, settings: Settings, days: int | None, offered: list[int | None]
) -> None:
    settings.ACCESS_TOKENS = {"EXPIRY_DEFAULT_DAYS": days, "EXPIRY_DAYS": offered}
    form = fill(user)

    assert form.is_valid()
    assert form.cleaned_data["expires_at"] == (days and end_of_day(days))


@pytest.mark.parametrize("days", ["8", "0", "-7", "36500", "7.0", " 7", "2030-01-01", "\0", "x"])
def test_expiration_that_is_not_offered_is_refused(user: User, days: str) -> None:
    assert "expires_at" in fill(user, expires_at=days).errors


@pytest.mark.parametrize("data", [{"expires_at": ""}, {"expires_at": "None"}])
def test_no_expiration_is_refused_where_it_is_not_offered(
    user: User, settings: Settings, data: dict[str, str]
) -> None:
    settings.ACCESS_TOKENS = {"EXPIRY_DAYS": [7, 90]}

    assert "expires_at" in fill(user, **data).errors


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", "Enter a name."),
        (" \t\n", "Enter a name."),
        ("a" * 101, "Ensure this value has at most 100 characters (it has 101)."),
        ("a\0b", "Null characters are not allowed."),
        ("a\r\nb", "The name contains a control character."),
        ("a\u202eb", "The name contains a control character."),
        ("\u200b\u2060", "The name has no visible character."),
    ],
)
def test_bad_name_gets_a_clear_error(user: User, name: str, error: str) -> None:
    assert error in fill(user, name).errors["name"]


@pytest.mark.parametrize("name", ["a", "a" * 100, "  laptop  ", "CI: \u201ebuild\u201c", "笔记本"])
def test_good_name_is_trimmed_and_taken(user: User, name: str) -> None:
    form = fill(user, name)

    assert form.is_valid()
    assert form.cleaned_data["name"] == name.strip()


def test_only_name_and_expiration_are_asked(user: User) -> None:
    unasked = {"digest": "sha256$0", "partial": "pat_0000…0000", "created_at": "2000-01-01"}
    form = TokenForm({"name": "laptop", "user": "0"} | unasked, instance=Token(user=user))

    assert form.is_valid()
    assert form.cleaned_data.keys() == {"name", "expires_at"}
    assert (form.instance.user, form.instance.digest) == (user, "")


# Policy.


@time_machine.travel(NOON, tick=False)
@pytest.mark.parametrize(
    ("configured", "values", "initial"),
    [
        ({"MAX_EXPIRY_DAYS": 90}, [7, 30, 60, 90], 90),
        ({"MAX_EXPIRY_DAYS": 45}, [7, 30, 45], 45),
        ({"MAX_EXPIRY_DAYS": 5}, [5], 5),
        ({"MAX_EXPIRY_DAYS": 30, "EXPIRY_DEFAULT_DAYS": 7}, [7, 30], 7),
        ({"MAX_EXPIRY_DAYS": 60, "EXPIRY_DEFAULT_DAYS": None}, [7, 30, 60], 60),
        ({"MAX_EXPIRY_DAYS": 60, "EXPIRY_DAYS": []}, [60], 60),
        ({"MAX_EXPIRY_DAYS": 1000}, [7, 30, 60, 90, 365, 1000], 90),
    ],
)
def test_form_offers_what_the_site_allows(
    user: User, settings: Settings, configured: dict[str, Any], values: list[int], initial: int
) -> None:
    settings.ACCESS_TOKENS = configured

    boxes = [widget.data for widget in unbound()["expires_at"].subwidgets]
    assert [box["value"] for box in boxes] == values
    assert [box["value"] for box in boxes if box["selected"]] == [initial]
    for days in values:
        fill(user, str(days), expires_at=str(days)).save()
    fill(user, "omitted").save()
    assert Token.objects.get(name="omitted").expires_at == end_of_day(initial)


@pytest.mark.parametrize("days", ["", "31", "60", "None"])
def test_later_expiration_is_refused(user: User, settings: Settings, days: str) -> None:
    settings.ACCESS_TOKENS = {"MAX_EXPIRY_DAYS": 30}

    assert "expires_at" in fill(user, expires_at=days).errors


@pytest.mark.parametrize(
    ("limit", "said"), [(None, "of this day. "), (1, "at most 1 day from"), (30, "at most 30 days")]
)
def test_form_says_the_limit(settings: Settings, limit: int | None, said: str) -> None:
    settings.ACCESS_TOKENS = {"MAX_EXPIRY_DAYS": limit}

    assert said in str(unbound()["expires_at"].help_text)


# Scopes.

SCOPES = {"read": "Read", "write": "Read and write", "reports": "Run reports"}


@pytest.fixture
def with_scopes(settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}


@pytest.mark.usefixtures("with_scopes")
def test_scopes_of_the_site_are_offered_and_read_is_preselected() -> None:
    boxes = [widget.data for widget in unbound()["scopes"].subwidgets]

    assert [(box["value"], box["label"]) for box in boxes] == list(SCOPES.items())
    assert [box["value"] for box in boxes if box["selected"]] == ["read"]


def test_form_has_no_scopes_where_the_site_has_none(user: User) -> None:
    form = fill(user, expires_at="", scopes=["read"])

    assert "scopes" not in form.fields
    form.save()
    assert Token.objects.get().scopes is None


@pytest.mark.usefixtures("with_scopes")
def test_chosen_scopes_are_stored(user: User) -> None:
    fill(user, expires_at="", scopes=["reports", "read"]).save()

    assert Token.objects.get().scopes == "read reports"


@pytest.mark.usefixtures("with_scopes")
@pytest.mark.parametrize(
    ("scopes", "error"),
    [
        ([], "Choose at least one scope."),
        (["read", "gone"], "Select a valid choice. gone is not one of the available choices."),
        (["read reports"], None),
        (["\0"], None),
    ],
)
def test_bad_scopes_get_a_clear_error(user: User, scopes: list[str], error: str | None) -> None:
    form = fill(user, expires_at="", scopes=scopes)

    assert not form.is_valid()
    assert form.errors["scopes"] == [error] or error is None


def change(token: Token, **data: Any) -> TokenChangeForm:
    token.refresh_from_db()
    return TokenChangeForm({"name": "server", **data}, instance=token)


@pytest.mark.usefixtures("with_scopes")
@pytest.mark.parametrize("stored", ["read", "read gone", None, "gone"])
def test_scopes_can_be_changed(token: KnownToken, stored: str | None) -> None:
    Token.objects.update(scopes=stored)

    change(token, scopes=["write", "reports"]).save()

    assert Token.objects.get().scopes == "write reports"


@pytest.mark.usefixtures("with_scopes")
@pytest.mark.parametrize(
    ("stored", "scopes"), [("read", ["read"]), ("read gone", ["read"]), (None, []), ("gone", [])]
)
def test_another_name_leaves_the_scopes_alone(
    token: KnownToken, stored: str | None, scopes: list[str]
) -> None:
    Token.objects.update(scopes=stored)
    form = change(token, scopes=scopes)
    assert form["scopes"].value() == scopes
    Token.objects.update(scopes="reports")  # by another request

    form.save()

    assert Token.objects.values_list("name", "scopes").get() == ("server", "reports")


@pytest.mark.usefixtures("with_scopes")
def test_limited_token_does_not_get_full_access(token: KnownToken) -> None:
    Token.objects.update(scopes="read")

    assert change(token).errors["scopes"] == ["Choose at least one scope."]


@pytest.mark.usefixtures("with_scopes")
@pytest.mark.parametrize(("stored", "is_said"), [(None, True), ("read", False), ("gone", False)])
def test_form_says_that_a_token_has_full_access(
    token: KnownToken, stored: str | None, is_said: bool
) -> None:
    Token.objects.update(scopes=stored)

    text = str(change(token)["scopes"].help_text)
    assert (text == "This token has full access. Choose scopes to limit it.") == is_said


def test_rotation_waits_for_commit(user: User) -> None:
    token = TokenFactory.create(user=user)
    form = TokenRotateForm({}, instance=token)
    assert form.is_valid()

    form.save(commit=False)

    assert Token.objects.verify(token.secret).rotated_at is None
