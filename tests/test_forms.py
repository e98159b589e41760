from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.utils import timezone, translation
from pytest_django import Settings

from access_tokens.forms import TokenForm
from access_tokens.limits import end_of_day
from access_tokens.models import Token

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
@pytest.mark.parametrize("days", [30, None])
def test_default_holds_where_a_template_lacks_the_field(
    user: User, settings: Settings, days: int | None
) -> None:
    settings.ACCESS_TOKENS = {"EXPIRY_DEFAULT_DAYS": days}
    form = fill(user)

    assert form.is_valid()
    assert form.cleaned_data["expires_at"] == (days and end_of_day(days))


@pytest.mark.parametrize("days", ["8", "0", "-7", "36500", "7.0", " 7", "2030-01-01", "\0", "x"])
def test_expiration_that_is_not_offered_is_refused(user: User, days: str) -> None:
    assert "expires_at" in fill(user, expires_at=days).errors


@pytest.mark.parametrize("data", [{}, {"expires_at": ""}, {"expires_at": "None"}])
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
