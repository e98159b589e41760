"""The manager of tokens, which creates, rotates, verifies and authenticates."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, router, transaction
from django.http import HttpRequest

from . import crypto, rotation, verification
from .conf import conf
from .last_used import record_use
from .limits import check_number
from .querysets import DIGESTS, TokenQuerySet
from .rotation import SAME_LIFETIME
from .scopes import join_scopes
from .signals import token_created, token_rotated

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from .models import Token

logger = logging.getLogger("access_tokens")

_TokenManager = models.Manager.from_queryset(TokenQuerySet)


class TokenManager(_TokenManager["Token"]):
    def create_token(
        self,
        *,
        name: str,
        user: User | None = None,
        expires_at: datetime | None = None,
        scopes: Collection[str] | None = None,
    ) -> tuple[Token, crypto.Secret]:
        """Create a token and return it with its secret, which is available only here.

        A related manager, such as ``user.access_tokens``, creates tokens of its user. ``scopes``
        are names of ``SCOPES``; None is full access.

        Raise ``ValidationError`` for what the site doesn't allow, such as a bad or taken name, an
        expiration that is not in the future and an inactive user. Raise ``ValueError`` for no user
        and for a user other than the manager's.
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
            scopes=None if scopes is None else join_scopes(scopes),
            # As save() does: refuse what is not a datetime, and make a naive one aware.
            expires_at=self.model._meta.get_field("expires_at").get_prep_value(expires_at),
        )
        token.full_clean(
            exclude={"user", *DIGESTS}, validate_unique=False, validate_constraints=False
        )
        using = self._db or router.db_for_write(self.model, instance=user)
        try:
            # The savepoint keeps a transaction of the caller usable.
            with transaction.atomic(using=using):
                check_number(self.using(using), user)
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

    def rotate(
        self,
        token: Token,
        *,
        expires_at: datetime | None = SAME_LIFETIME,
        end_previous_now: bool = False,
    ) -> crypto.Secret:
        """Give ``token`` a new secret and return it, which is available only here.

        The old secret works until ``ROTATION_OVERLAP`` after the first use of the new one, but
        never longer than it would have. A new secret that was never used is replaced. Without
        ``expires_at``, the token gets its original lifetime again.

        Raise ``ValidationError`` if the site switched rotation off, for an expired token, an
        inactive user and an expiration that the site doesn't allow, and with the code "conflict"
        if the token was rotated or deleted since it was read.
        """
        using = self._db or router.db_for_write(self.model, instance=token)
        secret = rotation.rotate(
            self.using(using), token, expires_at=expires_at, end_previous_now=end_previous_now
        )
        logger.info("Token %s of user %s was rotated.", token.pk, token.user_id)
        token_rotated.send_robust(sender=self.model, token=token)
        return secret

    rotate.alters_data = True  # type: ignore[attr-defined]  # as above

    def end_previous(self, token: Token) -> bool:
        """Let the old secret of ``token`` stop working now. Return whether it still worked."""
        using = self._db or router.db_for_write(self.model, instance=token)
        ended = rotation.end_previous(self.using(using), token)
        if ended:
            logger.info("The old secret of token %s of user %s was ended.", token.pk, token.user_id)
        return ended

    end_previous.alters_data = True  # type: ignore[attr-defined]  # as above

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
        return self._authenticate(digest, request)

    authenticate.alters_data = True  # type: ignore[attr-defined]  # as above

    async def averify(self, secret: str, *, request: HttpRequest | None = None) -> Token:
        """See ``verify()``."""
        digest = crypto.recognize(secret)
        del secret  # before it's an argument in the frames of another thread
        return await sync_to_async(self._verify)(digest, request)

    async def aauthenticate(self, secret: str, request: HttpRequest | None = None) -> Token:
        """See ``authenticate()``."""
        digest = crypto.recognize(secret)
        del secret
        return await sync_to_async(self._authenticate)(digest, request)

    aauthenticate.alters_data = True  # type: ignore[attr-defined]  # as above

    def _verify(self, digest: str | None, request: HttpRequest | None) -> Token:
        # Replicas lag, and a deleted token must stop working at once: ask where the writes go.
        using = self._db or router.db_for_write(self.model)
        return verification.verify(
            self.model, digest, using=using, owner=self._owner(), request=request
        )

    def _authenticate(self, digest: str | None, request: HttpRequest | None) -> Token:
        token = self._verify(digest, request)
        record_use(token, request)
        return token

    def _owner(self) -> User | None:
        """Return the user of the related manager ``user.access_tokens``, otherwise None."""
        field = getattr(self, "field", None)
        # A site's own relation to tokens has a related manager too.
        is_owner = field is not None and field == self.model._meta.get_field("user")
        return self.instance if is_owner else None  # type: ignore[attr-defined]  # of a related manager


def is_about_name(error: IntegrityError) -> bool:
    """Return whether the constraint on user and name refused a row."""
    # A query might not see the other row. PostgreSQL and MariaDB name the constraint, SQLite its
    # columns.
    names = ("access_tokens_token_name_unique", "access_tokens_token.name")
    return any(name in str(error) for name in names)
