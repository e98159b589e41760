"""The database that is in use, and how it gets its tokens."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import User
from django.db import connections
from django.db.models import QuerySet

from access_tokens.crypto import digest_secret, generate_secret
from access_tokens.models import Token

from .report import progress

BATCH = 10_000

# What a server does by itself sooner or later, but not in the middle of a measurement.
UPDATE_STATISTICS = {
    "mysql": "ANALYZE TABLE access_tokens_token",
    "postgresql": "VACUUM ANALYZE access_tokens_token",
}


class Router:
    """Send every query to the one database that is in use."""

    alias = "default"

    def db_for_read(self, model: type, **hints: Any) -> str:
        return self.alias

    db_for_write = db_for_read


@contextmanager
def using(alias: str) -> Iterator[None]:
    before, Router.alias = Router.alias, alias
    try:
        yield
    finally:
        Router.alias = before


def create_users(count: int) -> list[User]:
    names = (f"user {secrets.token_hex(6)}" for _ in range(count))
    return User.objects.bulk_create(User(username=name) for name in names)


def create_tokens(count: int, users: Sequence[User]) -> None:
    """Create ``count`` tokens, an equal number for each of ``users``."""
    for start in range(0, count, BATCH):
        progress(f"{start:,} of {count:,} tokens")
        Token.objects.bulk_create(
            Token(
                user=users[number % len(users)],
                name=f"token {number}",
                digest="sha256$" + secrets.token_hex(32),
                partial="pat_0000…0000",
            )
            for number in range(start, min(start + BATCH, count))
        )
    progress("")
    connection = connections[Router.alias]
    if statement := UPDATE_STATISTICS.get(connection.vendor):
        with connection.cursor() as cursor:
            cursor.execute(statement)


def credentials(tokens: QuerySet[Token], count: int) -> list[str]:
    """Return what authenticates by ``count`` of ``tokens``, evenly spread."""
    pks = list(tokens.order_by("pk").values_list("pk", flat=True))
    values = []
    for pk in pks[:: len(pks) // count][:count]:
        secret = generate_secret("pat")
        tokens.filter(pk=pk).update(digest=digest_secret(secret))
        values.append(f"Bearer {secret}")
    return values
