"""The import of tokens from the tables of other packages, which are only read."""

from __future__ import annotations

import enum
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, router, transaction
from django.utils import timezone
from django.utils.crypto import get_random_string

from ..models import Token
from ..querysets import CHUNK_SIZE, DIGESTS

if TYPE_CHECKING:
    from django.db.models import QuerySet

logger = logging.getLogger("access_tokens")

ATTEMPTS: Final = 5
NAME: Final = Token._meta.get_field("name")


class Outcome(enum.StrEnum):
    """What becomes of a token of another package."""

    IMPORTED = "imported"
    PRESENT = "already here"
    EXPIRED = "expired"
    REVOKED = "revoked"
    NO_USER = "without a user"
    UNSUPPORTED = "unsupported"


class Row(NamedTuple):
    """A token of another package, as ``Source.rows()`` returns it. It holds no secret."""

    user_id: Any
    digest: str | None
    partial: str
    name: str | None
    created_at: datetime
    expires_at: datetime | None
    is_revoked: bool


def import_tokens(
    rows: QuerySet[Any, Any], *, fallback_name: str, dry_run: bool = False
) -> Iterator[Counter[Outcome]]:
    """Import the rows of a ``Source`` in chunks, and yield what became of each chunk."""
    imported = 0
    values = map(Row._make, rows.iterator(CHUNK_SIZE))
    while chunk := list(islice(values, CHUNK_SIZE)):
        outcomes = import_chunk(chunk, fallback_name, dry_run)
        imported += outcomes[Outcome.IMPORTED]
        yield outcomes
    if not dry_run:
        logger.info("%s tokens were imported from %s.", imported, rows.model._meta.label)


def import_chunk(rows: Sequence[Row], fallback_name: str, dry_run: bool) -> Counter[Outcome]:
    # Another import or a user may create the same token first. Then look again at what exists.
    for attempt in range(1, ATTEMPTS):
        with suppress(IntegrityError, OperationalError):
            return try_import(rows, fallback_name, dry_run, attempt)
    return try_import(rows, fallback_name, dry_run, ATTEMPTS)


def try_import(
    rows: Sequence[Row], fallback_name: str, dry_run: bool, attempt: int
) -> Counter[Outcome]:
    outcomes: Counter[Outcome] = Counter()
    tokens = []
    using = router.db_for_write(Token)
    with transaction.atomic(using=using):
        users, digests = existing(rows, using)
        for row in rows:
            outcome = outcome_of(row, users, digests)
            outcomes[outcome] += 1
            if outcome is Outcome.IMPORTED:
                digests.add(row.digest)
                tokens.append(token_of(row, fallback_name))
        if not dry_run:
            give_unique_names(tokens, using, attempt)
            # Not by create_token(): limits and emails are for new tokens.
            Token.objects.using(using).bulk_create(tokens)
    return outcomes


def existing(rows: Sequence[Row], using: str) -> tuple[set[Any], set[str | None]]:
    """Return the users and the digests of ``rows`` that exist here."""
    users = get_user_model()._base_manager.using(using).filter(pk__in={r.user_id for r in rows})
    digests: set[str | None] = set()
    # A token that was rotated once has the old secret as its previous one.
    for field in DIGESTS:
        tokens = Token.objects.using(using).filter(**{f"{field}__in": [r.digest for r in rows]})
        digests.update(tokens.values_list(field, flat=True))
    return set(users.values_list("pk", flat=True)), digests


def outcome_of(row: Row, users: set[Any], digests: set[str | None]) -> Outcome:
    if row.is_revoked:
        return Outcome.REVOKED
    if row.expires_at is not None and row.expires_at <= timezone.now():
        return Outcome.EXPIRED
    if row.digest is None:
        return Outcome.UNSUPPORTED
    if row.user_id not in users:
        return Outcome.NO_USER
    return Outcome.PRESENT if row.digest in digests else Outcome.IMPORTED


def token_of(row: Row, fallback_name: str) -> Token:
    try:
        name = NAME.clean((row.name or "")[: NAME.max_length], None)
    except ValidationError:
        name = fallback_name
    return Token(
        user_id=row.user_id,
        name=name,
        digest=row.digest,  # type: ignore[misc]  # not None, as outcome_of() says
        partial=row.partial,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def give_unique_names(tokens: Sequence[Token], using: str, attempt: int) -> None:
    """Append the partial to each name that its user already has, and more if that is taken too."""
    # A database may look for each name of each user. So the longer ones, which are hardly ever
    # taken, are looked for only after the first attempt failed.
    names = {name for token in tokens for name in islice(possible_names(token), min(attempt, 2))}
    users = {token.user_id for token in tokens}
    stored = Token.objects.using(using).filter(user__in=users, name__in=names)
    taken = set(stored.values_list("user_id", "name"))
    for token in tokens:
        free = (n for n in possible_names(token) if (token.user_id, n) not in taken)
        token.name = next(free)
        taken.add((token.user_id, token.name))


def possible_names(token: Token) -> Iterator[str]:
    yield token.name
    longer = f"{token.name[: 94 - len(token.partial)]} {token.partial}"
    yield longer
    while True:
        yield f"{longer} {get_random_string(4)}"
