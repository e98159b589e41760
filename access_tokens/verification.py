"""Whether a secret gives access, and to which token."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, NoReturn

from django.http import HttpRequest

from .compiled import CompiledLookup
from .conf import conf
from .exceptions import Reason, TokenRejected
from .querysets import DIGESTS
from .signals import token_rejected
from .throttling import seconds_to_wait

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from .models import Token

logger = logging.getLogger("access_tokens")


@cache
def compiled_lookup(model: type[Token], field: str) -> CompiledLookup[Token]:
    tokens = model._base_manager.select_related("user").defer(*DIGESTS, "expiry_notice")
    return CompiledLookup(tokens, field)


def verify(
    model: type[Token],
    digest: str | None,
    *,
    using: str,
    owner: User | None,
    request: HttpRequest | None,
) -> Token:
    """Return the token with this digest. If there is an ``owner``, it must be theirs.

    Raise ``TokenRejected`` if it gives no access now, or if there is none.
    """
    if digest is None:
        reject(model, Reason.MALFORMED, None, request)
    token = compiled_lookup(model, "digest").get(digest, using=using)
    if token is None and conf.ROTATION_OVERLAP is not None:
        token = compiled_lookup(model, "previous_digest").get(digest, using=using)
        if token is not None:
            token.by_previous_secret = True
    if token is None or (owner is not None and owner.pk != token.user_id):
        reject(model, Reason.UNKNOWN, None, request)
    if token.is_expired or (token.by_previous_secret and token.previous_has_ended):
        reject(model, Reason.EXPIRED, token, request)
    if not token.user.is_active:
        reject(model, Reason.INACTIVE, token, request)
    return token


def reject(
    model: type[Token], reason: Reason, token: Token | None, request: HttpRequest | None
) -> NoReturn:
    logger.info(
        "A secret was refused: %s (token %s, user %s).",
        reason,
        token and token.pk,
        token and token.user_id,
    )
    token_rejected.send(sender=model, reason=reason, token=token, request=request)
    retry_after = None
    # Refusing a malformed secret costs less than counting it.
    if reason is not Reason.MALFORMED and request is not None and conf.REJECTION_RATE is not None:
        retry_after = seconds_to_wait(request, "rejection", conf.REJECTION_RATE)
    raise TokenRejected(reason, retry_after)
