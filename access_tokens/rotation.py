"""A new secret for a token, while the old one still works."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone
from django.utils.timezone import template_localtime  # type: ignore[attr-defined]  # not in the stubs
from django.utils.translation import gettext_lazy as _

from . import crypto
from .conf import conf
from .limits import LONGEST_EXPIRY, end_of_day, latest_expiration, validate_expiration

if TYPE_CHECKING:
    from .models import Token
    from .querysets import TokenQuerySet

SAME_LIFETIME: Final[Any] = object()


def rotate(
    tokens: TokenQuerySet, token: Token, *, expires_at: datetime | None, end_previous_now: bool
) -> crypto.Secret:
    """Store a new secret for ``token``, one of ``tokens``, and return it.

    The conditional update lets one of two rotations at the same time win, and brings back no row
    that was deleted.
    """
    if conf.ROTATION_OVERLAP is None:
        raise rotation_off()
    # The token as the caller knows it: another rotation may have been first.
    known = tokens.filter(pk=token.pk, rotated_at=token.rotated_at)
    row = known.select_related("user").first()
    if row is None:
        raise conflict()
    if row.is_expired:
        raise ValidationError(_("The token has expired."), code="expired")
    if not row.user.is_active:
        raise ValidationError(_("The user is inactive."), code="inactive")
    now = timezone.now()
    if expires_at is SAME_LIFETIME:
        expires_at = same_lifetime(row, now)
    validate_expiration(expires_at)
    secret = crypto.generate_secret(conf.PREFIX)
    changes: dict[str, Any] = {
        "digest": crypto.digest_secret(secret),
        "partial": crypto.partial(secret),
        "rotated_at": now,
        "expires_at": expires_at,
        "expiry_notice": None,
    }
    # A new secret that was never used may be lost. It is replaced, and the one before it stays.
    if row.previous_digest is None or row.previous_ends_at is not None:
        changes |= {
            "previous_digest": row.digest,
            "previous_partial": row.partial,
            "previous_expires_at": row.expires_at,
            "previous_ends_at": None,
        }
    if end_previous_now:
        changes["previous_ends_at"] = now
    unchanged = tokens.filter(pk=row.pk, digest=row.digest, previous_ends_at=row.previous_ends_at)
    if not unchanged.update(**changes):
        raise conflict()
    for name, value in changes.items():
        setattr(token, name, value)
    return secret


def same_lifetime(token: Token, now: datetime) -> datetime | None:
    """Return when ``token`` expires if it gets its original lifetime again ``now``."""
    latest = latest_expiration()
    if token.expires_at is None:
        return latest
    start = token.rotated_at or token.created_at
    lifetime = token.expires_at - start
    if lifetime > timedelta(days=LONGEST_EXPIRY):
        expires_at = end_of_day(LONGEST_EXPIRY)
    elif (last_day := template_localtime(token.expires_at)).time() == time.max:
        # The end of a day, as the form offers it.
        expires_at = end_of_day((last_day.date() - template_localtime(start).date()).days)
    else:
        expires_at = now + lifetime
    return expires_at if latest is None else min(expires_at, latest)


def exact_lifetime(token: Token) -> datetime | None:
    """Return the same as ``same_lifetime()``, but never add the rest of a day."""
    now = timezone.now()
    expires_at = same_lifetime(token, now)
    if token.expires_at is None or expires_at is None:
        return expires_at
    lifetime = token.expires_at - (token.rotated_at or token.created_at)
    return min(expires_at, now + min(lifetime, timedelta(days=LONGEST_EXPIRY)))


def end_previous(tokens: TokenQuerySet, token: Token) -> bool:
    """Let the old secret of ``token`` stop working now. Return whether it still worked."""
    now = timezone.now()
    works = Q(previous_ends_at=None) | Q(previous_ends_at__gt=now)
    working = tokens.filter(works, pk=token.pk).exclude(previous_digest=None)
    if not working.update(previous_ends_at=now):
        return False
    token.previous_ends_at = now
    return True


def rotation_off() -> ValidationError:
    return ValidationError(_("Rotation is switched off."), code="rotation_off")


def conflict() -> ValidationError:
    return ValidationError(
        _("The token was rotated or deleted at the same time. Try again."), code="conflict"
    )
