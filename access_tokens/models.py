"""The token: what is stored of a secret, and for whom."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, router, transaction
from django.db.models import Q
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .conf import conf
from .fields import BoundedDateTimeField, NameField
from .limits import validate_expiration
from .managers import TokenManager, is_about_name
from .querysets import UNUSED_AFTER_DAYS, State
from .scopes import missing_scopes
from .signals import token_deleted

logger = logging.getLogger("access_tokens")


class Token(models.Model):
    """A personal access token: what is stored of a secret that was shown once to its owner."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        # The constraint on user and name brings the index.
        db_index=False,
        related_name="access_tokens",
        verbose_name=_("user"),
    )
    name = NameField(_("name"), max_length=100, error_messages={"blank": _("Enter a name.")})
    digest = models.CharField(_("digest"), max_length=255, editable=False)
    partial = models.CharField(_("token"), max_length=64, editable=False)
    scopes = models.TextField(_("scopes"), null=True, blank=True)  # noqa: DJ001  # null is full access
    created_at = models.DateTimeField(_("created date"), default=timezone.now, editable=False)
    # No index: an update of an indexed column is not HOT on PostgreSQL, and this one is frequent.
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    expires_at = BoundedDateTimeField(_("expires"), null=True, blank=True)
    # How many days before the expiration the owner was last told.
    expiry_notice = models.PositiveSmallIntegerField(null=True, editable=False)
    rotated_at = models.DateTimeField(null=True, editable=False)
    previous_digest = models.CharField(max_length=255, null=True, editable=False)  # noqa: DJ001  # unique
    previous_partial = models.CharField(max_length=64, editable=False)
    # When the previous secret would have ended without a rotation.
    previous_expires_at = BoundedDateTimeField(null=True, editable=False)
    # Null until the new secret is used.
    previous_ends_at = models.DateTimeField(null=True, editable=False)

    objects = TokenManager()

    # Set by verify() and revoke_leaked(): whether they were given the secret from before the last
    # rotation.
    by_previous_secret = False

    class Meta:
        verbose_name = _("access token")
        verbose_name_plural = _("access tokens")
        # Newest first, by the index of the primary key.
        ordering = ("-pk",)
        constraints = (
            models.UniqueConstraint(
                fields=["user", "name"], name="%(app_label)s_%(class)s_name_unique"
            ),
            # Constraints, since unique=True brings a second index on PostgreSQL.
            models.UniqueConstraint(
                fields=["digest"], name="%(app_label)s_%(class)s_digest_unique"
            ),
            models.UniqueConstraint(
                fields=["previous_digest"], name="%(app_label)s_%(class)s_previous_digest_unique"
            ),
            models.CheckConstraint(
                condition=~Q(digest="") & ~Q(previous_digest=""),
                name="%(app_label)s_%(class)s_digest_not_empty",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        if not self._state.adding:
            return
        validate_expiration(self.expires_at)
        if self.user_id is not None and not self.user.is_active:
            raise ValidationError(_("The user is inactive."), code="inactive")

    @property
    def is_expired(self) -> bool:
        """Whether the token has expired."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def state(self) -> State:
        """The state by which ``in_states()`` selects."""
        if self.is_expired:
            return State.EXPIRED
        limit = timezone.now() - timedelta(days=UNUSED_AFTER_DAYS)
        is_unused = (self.last_used_at or self.created_at) <= limit
        is_recorded = conf.LAST_USED_RESOLUTION is not None
        return State.UNUSED if is_unused and is_recorded else State.ACTIVE

    @property
    def rotation_is_pending(self) -> bool:
        """Whether the secret of the last rotation was never used."""
        return self.rotated_at is not None and self.previous_ends_at is None

    @property
    def previous_end(self) -> datetime | None:
        """When the secret from before the last rotation stops working, if that is known."""
        ends = [end for end in (self.previous_ends_at, self.previous_expires_at) if end is not None]
        return min(ends, default=None)

    @property
    def previous_has_ended(self) -> bool:
        """Whether ``previous_end`` has come."""
        return self.previous_end is not None and self.previous_end <= timezone.now()

    @property
    def previous_works(self) -> bool:
        """Whether there is a secret from before the last rotation that still works."""
        is_rotated = self.rotated_at is not None and conf.ROTATION_OVERLAP is not None
        return is_rotated and not self.is_expired and not self.previous_has_ended

    def has_scopes(self, *names: str) -> bool:
        """Return whether the token has all these scopes. A token without scopes has all."""
        return not missing_scopes(self.scopes, names)

    def change(self, **columns: Any) -> None:
        """Store these columns alone: saving the row would undo a use, or bring back a deleted token.

        The values are those of a valid form or serializer. Raise ``ValidationError`` for a name
        that is taken, and ``DoesNotExist`` if the token was deleted.
        """
        using = router.db_for_write(type(self), instance=self)
        rows = type(self)._base_manager.using(using).filter(pk=self.pk)
        try:
            # The savepoint keeps a transaction of the caller usable.
            with transaction.atomic(using=using):
                found = not columns or rows.update(**columns)
        except IntegrityError as refusal:
            if not is_about_name(refusal):
                raise
            raise ValidationError({"name": name_taken_error(columns["name"])}) from None
        if not found:
            raise self.DoesNotExist("The token was deleted.")
        for name, value in columns.items():
            setattr(self, name, value)

    change.alters_data = True  # type: ignore[attr-defined]  # for templates, as in Django

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


@receiver(post_delete, sender=Token)
def send_token_deleted(sender: type[Token], instance: Token, **kwargs: Any) -> None:
    logger.info("Token %s of user %s was deleted.", instance.pk, instance.user_id)
    token_deleted.send_robust(sender=sender, token=instance)
