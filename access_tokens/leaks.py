"""Secrets that became public: find them in any text, and revoke the access that they give."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final

from django.db import router, transaction
from django.db.models import Q

from . import crypto, rotation
from .emails import send_leak_email
from .models import Token
from .querysets import CHUNK_SIZE, DIGESTS, TokenQuerySet
from .signals import token_leaked

logger = logging.getLogger("access_tokens")

LONGEST_PREFIX: Final = 20
# The underscore and what follows it.
BODY_LENGTH: Final = 1 + crypto.RANDOM_LENGTH + crypto.CHECKSUM_LENGTH
BODY: Final = re.compile(rb"_[0-9A-Za-z]{%d}" % (BODY_LENGTH - 1))
PREFIX_BYTES: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_")
# How many different secrets are remembered, since a text may have more than fit into memory.
MEMORY: Final = 100_000


@dataclass
class Leaks:
    """What was done about leaked secrets."""

    # How many different ones there were. Those that are in no list gave no access.
    found: int = 0
    deleted: list[Token] = field(default_factory=list)
    # Tokens that stay, since only their secret from before the last rotation leaked.
    ended: list[Token] = field(default_factory=list)
    # Tokens that still give access: the database, or a receiver of a signal, refused.
    failed: list[Token] = field(default_factory=list)


def find_secrets(chunks: Iterable[bytes]) -> Iterator[crypto.Secret]:
    """Yield the secrets in a text that comes in pieces, such as lines or blocks of any size.

    They may have any prefix. The checksum tells where one starts, so it doesn't matter what is
    before and after it, such as the ``n`` of an escaped line break.
    """
    # A memoryview, since its repr shows no secret in a report on a piece that can't be read.
    rest = memoryview(b"")
    for chunk in chunks:
        # Without its zeros, UTF-16 becomes ASCII.
        text = b"".join((rest, chunk.replace(b"\0", b"")))
        yield from secrets_in(text, max(0, len(rest) - BODY_LENGTH + 1))
        rest = memoryview(text[1 - LONGEST_PREFIX - BODY_LENGTH :])
        del chunk, text


def secrets_in(text: bytes, start: int) -> Iterator[crypto.Secret]:
    """Yield the secrets in ``text`` whose prefix ends at ``start`` or later."""
    for body in BODY.finditer(text, start):
        for first in reversed(range(max(0, body.start() - LONGEST_PREFIX), body.start())):
            if text[first] not in PREFIX_BYTES:
                break
            secret = crypto.Secret(text[first : body.end()].decode("ascii"))
            if crypto.is_well_formed(secret):
                yield secret


def revoke_leaked(secrets: Iterable[str], *, dry_run: bool = False) -> Leaks:
    """Revoke the access that ``secrets`` give, email the owners, and return what was done.

    A token is deleted even if it has expired or its user is inactive, since the user may come
    back. If only the old secret of a rotated token leaked, that is ended and the token stays. A
    string that isn't a secret is ignored.
    """
    digests = unique_digests([secrets] if isinstance(secrets, str) else secrets)
    # Error reports show local variables: from here on no frame holds a secret.
    del secrets
    leaks = Leaks()
    tokens = Token.objects.using(router.db_for_write(Token))
    try:
        while batch := list(islice(digests, CHUNK_SIZE)):
            leaks.found += len(batch)
            for token, digest in known_tokens(tokens, batch):
                handle(tokens, token, digest, leaks, dry_run=dry_run)
    finally:
        # Even if the rest can't be read, the owners must learn what was revoked so far.
        if not dry_run:
            tell_owners(leaks, using=tokens.db)
    return leaks


def unique_digests(secrets: Iterable[str]) -> Iterator[str]:
    """Return the digests of what is a secret, each of them once."""
    seen: set[str] = set()

    def is_new(digest: str) -> bool:
        if digest in seen:
            return False
        if len(seen) == MEMORY:
            seen.clear()
        seen.add(digest)
        return True

    return filter(is_new, filter(None, map(crypto.recognize, secrets)))


def known_tokens(tokens: TokenQuerySet, digests: list[str]) -> Iterator[tuple[Token, str]]:
    """Yield the tokens that have one of these digests, with that digest."""
    # In this order, so that a token that is rotated meanwhile isn't missed.
    for name in DIGESTS:
        for token in tokens.filter(**{f"{name}__in": digests}).select_related("user"):
            yield token, getattr(token, name)


def handle(
    tokens: TokenQuerySet, token: Token, digest: str, leaks: Leaks, *, dry_run: bool
) -> None:
    """Revoke the access that the secret with this digest gives, and add ``token`` to ``leaks``."""
    try:
        revoked = revoke(tokens, token, digest, dry_run=dry_run)
    except Exception as error:
        # The others must not stay valid because of this one.
        logger.error(
            "Token %s of user %s leaked and couldn't be revoked: %s.",
            token.pk,
            token.user_id,
            type(error).__name__,
        )
        leaks.failed.append(token)
        return
    if revoked is None:
        return
    (leaks.ended if revoked.by_previous_secret else leaks.deleted).append(revoked)
    if not dry_run:
        leaked = "The old secret of token" if revoked.by_previous_secret else "Token"
        logger.warning(
            "%s %s of user %s leaked and was revoked.", leaked, revoked.pk, revoked.user_id
        )
        token_leaked.send_robust(sender=Token, token=revoked)


def revoke(tokens: TokenQuerySet, token: Token, digest: str, *, dry_run: bool) -> Token | None:
    """Delete ``token`` or end its old secret, whichever has this digest, and return it as it is.

    Return None if neither has, or if the old secret has already ended.
    """
    with transaction.atomic(using=tokens.db):
        # The lock makes a rotation wait, and shows what one has done meanwhile.
        has_digest = Q(digest=digest) | Q(previous_digest=digest)
        row = tokens.select_for_update().filter(has_digest, pk=token.pk).first()
        if row is None:
            return None
        row.user = token.user
        row.by_previous_secret = row.digest != digest
        if row.by_previous_secret and row.previous_has_ended:
            return None
        if row.by_previous_secret and not dry_run:
            rotation.end_previous(tokens, row)
        elif not dry_run:
            Token._base_manager.using(tokens.db).filter(pk=row.pk).delete()
    return row


def tell_owners(leaks: Leaks, *, using: str) -> None:
    """Send each owner one email, once the revocations are committed."""
    by_user: defaultdict[Any, list[Token]] = defaultdict(list)
    for token in [*leaks.deleted, *leaks.ended]:
        by_user[token.user_id].append(token)
    for tokens in by_user.values():
        transaction.on_commit(partial(send_leak_email, tokens), using=using)
