"""The token, and the two verbs of its manager: create and verify."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, router, transaction
from django.db.models import Q
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import crypto, query
from .conf import conf
from .exceptions import Reason, TokenRejected
from .fields import NameField
from .signals import token_created, token_deleted, token_rejected

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger("access_tokens")
UNUSED_AFTER_DAYS = 90


class TokenQuerySet(models.QuerySet["Token"]):
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
        self, *, user: User, name: str, expires_at: datetime | None = None
    ) -> tuple[Token, crypto.Secret]:
        """Create a token and return it with its secret, which is to be had nowhere else.

        Raise ``ValidationError`` for a bad or taken name, an expiry that is not in the future
        and an inactive user.
        """
        secret = crypto.generate_secret(conf.PREFIX)
        token = self.model(
            user=user,
            name=name,
            digest=crypto.digest_secret(secret),
            partial=crypto.partial(secret),
            # As on saving: what is no moment is refused, and a naive one becomes aware.
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
        except IntegrityError:
            # Only the database can tell when two requests want one name at the same moment.
            raise ValidationError({"name": name_taken_error(token.name)}) from None
        logger.info("Token %s of user %s was created.", token.pk, token.user_id)
        token_created.send_robust(sender=self.model, token=token)
        return token, secret

    create_token.alters_data = True  # type: ignore[attr-defined]  # for templates, as in Django

    def verify(self, secret: str, *, request: HttpRequest | None = None) -> Token:
        """Return the token, with its user, to which ``secret`` gives access now.

        Raise ``TokenRejected`` otherwise. ``request`` is for the receivers of ``token_rejected``.
        """
        digest = crypto.digest_secret(secret) if crypto.is_well_formed(secret) else None
        # Error reports show local variables: from here on no frame holds the secret.
        del secret
        if digest is None:
            self._reject(Reason.MALFORMED, None, request)
        # Replicas lag, but a deleted token is dead at once: so ask where the writes go.
        using = self._db or router.db_for_write(self.model)
        token = query.get_by_digest(self.model, digest, using=using)
        # The manager user.access_tokens knows that user's tokens only.
        owner = getattr(self, "instance", None)
        if token is None or (owner is not None and owner.pk != token.user_id):
            self._reject(Reason.UNKNOWN, None, request)
        if token.is_expired:
            self._reject(Reason.EXPIRED, token, request)
        if not token.user.is_active:
            self._reject(Reason.INACTIVE, token, request)
        return token

    def _reject(self, reason: Reason, token: Token | None, request: HttpRequest | None) -> NoReturn:
        logger.info(
            "A secret was refused: %s (token %s, user %s).",
            reason,
            token and token.pk,
            token and token.user_id,
        )
        token_rejected.send(sender=self.model, reason=reason, token=token, request=request)
        raise TokenRejected(reason)


class Token(models.Model):
    """A personal access token: what is known of a secret that was shown once to its owner."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        # The constraint on user and name brings the index.
        db_index=False,
        related_name="access_tokens",
        verbose_name=_("user"),
    )
    name = NameField(_("name"), max_length=100, error_messages={"blank": _("Enter a name.")})
    # Not serialized: no fixture and no model serializer carries a credential.
    digest = models.CharField(_("digest"), max_length=128, editable=False, serialize=False)
    partial = models.CharField(_("token"), max_length=32, editable=False)
    created_at = models.DateTimeField(_("created date"), default=timezone.now, editable=False)
    # No index: an update of an indexed column is not HOT on PostgreSQL, and this one is frequent.
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    expires_at = models.DateTimeField(
        _("expires"), null=True, blank=True, help_text=_("Empty for no expiration.")
    )

    objects = TokenManager()

    class Meta:
        verbose_name = _("access token")
        verbose_name_plural = _("access tokens")
        # Newest first, by an index that exists.
        ordering = ("-pk",)
        constraints = (
            models.UniqueConstraint(fields=["user", "name"], name="access_tokens_name_unique"),
            # A constraint, since unique=True brings a second index on PostgreSQL.
            models.UniqueConstraint(fields=["digest"], name="access_tokens_digest_unique"),
            models.CheckConstraint(condition=~Q(digest=""), name="access_tokens_digest_not_empty"),
        )

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        if not self._state.adding:
            return
        if self.is_expired:
            raise ValidationError({"expires_at": _("The expiration must be in the future.")})
        if self.user_id is not None and not self.user.is_active:
            raise ValidationError(_("The user is inactive."), code="inactive")

    @property
    def is_expired(self) -> bool:
        """Whether ``expires_at`` has come."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def unique_error_message(self, model_class: Any, unique_check: Any) -> ValidationError:
        if tuple(unique_check) == ("user", "name"):
            return name_taken_error(self.name)
        return super().unique_error_message(model_class, unique_check)


def name_taken_error(name: str) -> ValidationError:
    return ValidationError(
        _("You already have a token named “%(name)s”. Choose another name."),
        code="unique",
        params={"name": name},
    )


def end_of_day(days: int) -> datetime:
    """Return the end of the day that is ``days`` days from now, in the current time zone."""
    now = timezone.now()
    if timezone.is_aware(now):
        now = timezone.localtime(now)
    return (now + timedelta(days=days)).replace(hour=23, minute=59, second=59, microsecond=999999)


@receiver(post_delete, sender=Token)
def send_token_deleted(sender: type[Token], instance: Token, **kwargs: Any) -> None:
    logger.info("Token %s of user %s was deleted.", instance.pk, instance.user_id)
    token_deleted.send_robust(sender=sender, token=instance)
