from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User, UserManager
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from access_tokens.models import Token

from .factories import KnownToken, TokenFactory, UserFactory

Output = pytest.CaptureFixture[str]


def create(*args: Any) -> None:
    call_command("create_access_token", *args)


def delete(*args: Any) -> None:
    call_command("delete_access_tokens", *args)


@pytest.fixture
def log_in_by_email(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make users log in with their e-mail address."""

    def get_by_natural_key(self: UserManager[User], username: str | None) -> User:
        return self.get(email=username)

    monkeypatch.setattr(UserManager, "get_by_natural_key", get_by_natural_key)


# create_access_token


def test_secret_is_alone_on_stdout(user: User, capsys: Output) -> None:
    create("ada", "laptop")

    output = capsys.readouterr()
    secret = output.out.removesuffix("\n")
    token = Token.objects.verify(secret)
    assert (token.user, token.name, token.expires_at) == (user, "laptop", None)
    assert output.err == (
        "This is the only time the token is shown. Store it in a password manager or vault.\n"
    )


@time_machine.travel("2026-11-24 12:00:00Z", tick=False)
@pytest.mark.parametrize(("days", "last"), [("0", "2026-11-24"), ("90", "2027-02-22")])
def test_token_expires_at_the_end_of_the_day(user: User, days: str, last: str) -> None:
    create("ada", "laptop", "--expires-in-days", days)

    expires_at = Token.objects.get().expires_at
    assert expires_at is not None
    assert expires_at.isoformat() == f"{last}T23:59:59.999999+00:00"


def test_expiration_works_without_use_tz(user: User, settings: Settings) -> None:
    settings.USE_TZ = False

    create("ada", "laptop", "--expires-in-days", "1")
    token = Token.objects.get()
    assert token.expires_at is not None
    assert timedelta(0) < token.expires_at - timezone.now() < timedelta(days=2)


@pytest.mark.parametrize("username", ["nobody", "", "a\0", "\ud800", "x" * 1000])
@pytest.mark.parametrize("command", [create, delete])
def test_unknown_user_is_an_error(user: User, command: Any, username: str) -> None:
    arguments = ["laptop"] if command is create else ["--all"]
    with pytest.raises(CommandError, match="There is no user") as caught:
        command(username, *arguments)

    assert repr(username) in str(caught.value)


def test_user_is_found_by_natural_key(log_in_by_email: None, db: None) -> None:
    user = UserFactory.create(email="ada@example.com")

    create("ada@example.com", "laptop")
    assert Token.objects.get().user == user
    delete("ada@example.com", "--all")
    assert not Token.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["laptop"], "You already have a token named “laptop”. Choose another name."),
        ([""], "Enter a name."),
        (["  "], "Enter a name."),
        (["a" * 101], "Ensure this value has at most 100 characters (it has 101)."),
        (["a\nb"], "The name contains a control character."),
        (["\ud800"], "The name contains a control character."),
        (["\u200b"], "The name has no visible character."),
        (["new", "--expires-in-days", "-1"], "The expiration must be in the future."),
        (["new", "--expires-in-days", "9999999"], "The expiration is too far away."),
        (["new", "--expires-in-days", "9" * 30], "The expiration is too far away."),
        (["new", "--expires-in-days", "soon"], "argument --expires-in-days: invalid int value"),
    ],
)
def test_bad_argument_is_an_error(
    token: KnownToken, capsys: Output, arguments: list[str], message: str
) -> None:
    with pytest.raises(CommandError) as caught:
        create("ada", *arguments)

    assert message in str(caught.value)
    assert capsys.readouterr().out == ""
    assert Token.objects.get() == token


def test_inactive_user_is_an_error(user: User) -> None:
    User.objects.update(is_active=False)

    with pytest.raises(CommandError, match=r"^The user is inactive\.$"):
        create("ada", "laptop")


def test_secret_cannot_be_chosen(user: User) -> None:
    with pytest.raises(CommandError, match="unrecognized arguments"):
        create("ada", "laptop", "--secret", "pat_0")


# delete_access_tokens


@pytest.fixture
def tokens(user: User) -> list[KnownToken]:
    TokenFactory.create(name="laptop")
    return [TokenFactory.create(user=user, name=name) for name in ("laptop", "server", "phone")]


@pytest.mark.parametrize(
    ("arguments", "said", "left"),
    [
        (["--name", "laptop"], "Deleted 1 access token.\n", {"server", "phone"}),
        (["--all"], "Deleted 3 access tokens.\n", set()),
    ],
)
def test_tokens_of_the_user_are_deleted(
    user: User,
    tokens: list[KnownToken],
    capsys: Output,
    arguments: list[str],
    said: str,
    left: set[str],
) -> None:
    delete("ada", *arguments)

    assert capsys.readouterr().out == said
    assert set(Token.objects.filter(user=user).values_list("name", flat=True)) == left
    assert Token.objects.exclude(user=user).count() == 1


def test_deleting_all_of_none_is_no_error(user: User, capsys: Output) -> None:
    delete("ada", "--all")

    assert capsys.readouterr().out == "Deleted 0 access tokens.\n"


@pytest.mark.parametrize("name", ["Laptop", "", "typo"])
def test_deleting_a_name_that_does_not_exist_is_an_error(
    tokens: list[KnownToken], name: str
) -> None:
    with pytest.raises(CommandError) as caught:
        delete("ada", "--name", name)

    assert str(caught.value) == f"ada has no access token {name!r}."
    assert Token.objects.count() == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "one of the arguments --name --all is required"),
        (["--name", "laptop", "--all"], "not allowed with argument"),
    ],
)
def test_name_or_all_is_required(
    tokens: list[KnownToken], arguments: list[str], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        delete("ada", *arguments)

    assert Token.objects.count() == 4
