"""What several commands need."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import DataError

from access_tokens.limits import LONGEST_EXPIRY
from access_tokens.models import Token

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def get_user(username: str) -> User:
    """Return the user who logs in with ``username``, or raise ``CommandError``."""
    User = get_user_model()
    try:
        return User._default_manager.get_by_natural_key(username)
    # PostgreSQL takes neither NUL nor surrogates.
    except (User.DoesNotExist, ValueError, DataError):
        raise CommandError(f"There is no user {username!r}.") from None


def get_token(username: str, name: str) -> Token:
    """Return the token of a user with this name, or raise ``CommandError``."""
    try:
        return Token.objects.get(user=get_user(username), name=name)
    except (Token.DoesNotExist, ValueError, DataError):
        raise CommandError(f"{username} has no access token {name!r}.") from None


def number_of_days(text: str) -> int:
    """Return the number that an option gives."""
    number = int(text)
    if not 1 <= number <= LONGEST_EXPIRY:
        raise ArgumentTypeError(f"{text} is not between 1 and {LONGEST_EXPIRY}")
    return number


def counted(number: int, noun: str) -> str:
    """Return a number with what it counts: "1 email"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def write_secret(command: BaseCommand, secret: str) -> None:
    """Write the secret alone to stdout, so that it can be piped, and a warning to stderr."""
    command.stderr.write(
        "This is the only time the token is shown. Store it in a password manager or vault."
    )
    command.stdout.write(secret)


def aligned(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the rows as lines whose columns are aligned."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
