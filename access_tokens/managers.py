"""How tokens are found, created, verified and used."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final, NoReturn

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, router, transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from . import crypto
from .compiled import CompiledLookup
from .conf import conf
from .exceptions import Reason, TokenRejected
from .last_used import record_use
from .signals import token_created, token_rejected

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from .models import Token

    QuerySet = models.QuerySet[Token]
else:
    QuerySet = models.QuerySet

logger = logging.getLogger("access_tokens")

UNUSED_AFTER_DAYS: Final = 90
# No caller needs the digests, so queries leave them out.
DIGESTS: Final = ("digest", "previous_digest")


@cache
def lookup_by_digest(model: type[Token]) -> CompiledLookup[Token]:
    tokens = model._base_manager.select_related("user").defer(*DIGESTS, "expiry_notice")
    return CompiledLookup(tokens, "digest")


class TokenQuerySet(QuerySet):
    def never_used(self) -> TokenQuerySet:
        return self.filter(last_used_at=None)

    def unused(self, days: int = UNUSED_AFTER_DAYS) -> TokenQuerySet:
        """Return the tokens whose last use, or else creation, is at least ``days`` days ago."""
        limit = timezone.now() - timedelta(days=days)
        return self.filter(Q(last_used_at__lte=limit) | Q(last_used_at=None, created_at__lte=limit))

    def expired(self) -> TokenQuerySet:
        return self.filter(expires_at__lte=timezone.now())

    def without_expiry(self) -> TokenQuerySet:
        return self.filter(expires_at=None)


_TokenManager = models.Manager.from_queryset(TokenQuerySet)


class TokenManager(_TokenManager["Token"]):
    def create_token(
        self, *, name: str, user: User | None = None, expires_at: datetime | None = None
    ) -> tuple[Token, crypto.Secret]:
        """Create a token and return it with its secret, which is available only here.

        A related manager, such as ``user.access_tokens``, creates tokens of its user.

        Raise ``ValidationError`` for a bad or taken name, an expiration that is not in the future
        and an inactive user, and ``ValueError`` for no user or another than that of the manager.
        """
        owner = self._owner()
        user = owner if user is None else user
        if user is None:
            raise ValueError("A token needs a user.")
        if owner is not None and user != owner:
            raise ValueError("A related manager creates tokens of its own user only.")
        secret = crypto.generate_secret(conf.PREFIX)
        token = self.model(
            user=user,
            name=name,
            digest=crypto.digest_secret(secret),
            partial=crypto.partial(secret),
            # As save() does: refuse what is not a datetime, and make a naive one aware.
            expires_at=self.model._meta.get_field("expires_at").get_prep_value(expires_at),
        )
        token.full_clean(
            exclude={"user", "digest"}, validate_unique=False, validate_constraints=False
        )
        using = self._db or router.db_for_write(self.model, instance=user)
        try:
            # The savepoint keeps a transaction of the caller usable.
            with transaction.atomic(using=using):
                token.save(force_insert=True, using=using)
        except IntegrityError as refusal:
            # Only the database can tell when two requests create the same name at the same time.
            if not is_about_name(refusal):
                raise
            error = token.unique_error_message(self.model, ("user", "name"))
            raise ValidationError({"name": error}) from None
        logger.info("Token %s of user %s was created.", token.pk, token.user_id)
        token_created.send_robust(sender=self.model, token=token)
        return token, secret

    create_token.alters_data = True  # type: ignore[attr-defined]  # for templates, as in Django

    def verify(self, secret: str, *, request: HttpRequest | None = None) -> Token:
        """Return the token, with its user, to which ``secret`` gives access now.

        Raise ``TokenRejected`` otherwise. ``request`` is for the receivers of ``token_rejected``.
        """
        digest = crypto.recognize(secret)
        # Error reports show local variables: from here on no frame holds the secret.
        del secret
        return self._verify(digest, request)

    def authenticate(self, secret: str, request: HttpRequest | None = None) -> Token:
        """Verify ``secret`` and record that its token is used now."""
        digest = crypto.recognize(secret)
        del secret
        token = self._verify(digest, request)
        record_use(token, request)
        return token

    authenticate.alters_data = True  # type: ignore[attr-defined]  # as above

    def _verify(self, digest: str | None, request: HttpRequest | None) -> Token:
        if digest is None:
            self._reject(Reason.MALFORMED, None, request)
        # Replicas lag, and a deleted token must stop working at once: ask where the writes go.
        using = self._db or router.db_for_write(self.model)
        token = lookup_by_digest(self.model).get(digest, using=using)
        owner = self._owner()
        if token is None or (owner is not None and owner.pk != token.user_id):
            self._reject(Reason.UNKNOWN, None, request)
        if token.is_expired:
            self._reject(Reason.EXPIRED, token, request)
        if not token.user.is_active:
            self._reject(Reason.INACTIVE, token, request)
        return token

    def _owner(self) -> User | None:
        """Return the user of the related manager ``user.access_tokens``, otherwise None."""
        # A site's own relation to tokens has a related manager too.
        is_related = getattr(self, "field", None) == self.model._meta.get_field("user")
        return self.instance if is_related else None  # type: ignore[attr-defined]  # of a related manager

    def _reject(self, reason: Reason, token: Token | None, request: HttpRequest | None) -> NoReturn:
        logger.info(
            "A secret was refused: %s (token %s, user %s).",
            reason,
            token and token.pk,
            token and token.user_id,
        )
        token_rejected.send(sender=self.model, reason=reason, token=token, request=request)
        raise TokenRejected(reason)


def is_about_name(error: IntegrityError) -> bool:
    """Return whether the constraint on user and name refused a row.

    A query couldn't tell: it may not see, or may wait for, the transaction that took the name.
    """
    # PostgreSQL and MariaDB name the constraint, SQLite its columns.
    names = ("access_tokens_token_name_unique", "access_tokens_token.name")
    return any(name in str(error) for name in names)
