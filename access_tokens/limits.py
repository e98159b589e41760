"""How long tokens may live, and how many a user may have."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from .conf import conf

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from .querysets import TokenQuerySet

LONGEST_EXPIRY: Final = 36_500  # days
MAY_NOT_CREATE: Final = _("You may not create access tokens.")


def end_of_day(days: int) -> datetime:
    """Return the end of the day that is ``days`` days from now, in the current time zone."""
    now: datetime = timezone.template_localtime(timezone.now())  # type: ignore[attr-defined]  # not in the stubs
    return (now + timedelta(days=days)).replace(hour=23, minute=59, second=59, microsecond=999999)


def latest_expiration() -> datetime | None:
    """Return the latest expiration that ``MAX_EXPIRY_DAYS`` allows, or None if any is allowed."""
    return None if conf.MAX_EXPIRY_DAYS is None else end_of_day(conf.MAX_EXPIRY_DAYS)


def within_limit(days: int | None) -> int | None:
    """Return ``days``, or the limit where that comes first."""
    limit = conf.MAX_EXPIRY_DAYS
    return days if limit is None else min(days or limit, limit)


def offered_days() -> list[int | None]:
    """Return the expirations to choose from, none of them later than the site allows."""
    days = conf.EXPIRY_DAYS
    if not days and conf.MAX_EXPIRY_DAYS is not None:
        days = [None]
    return list(dict.fromkeys(map(within_limit, days)))


def default_expiration() -> datetime | None:
    """Return when a token expires if its user doesn't choose an expiration."""
    days = within_limit(conf.EXPIRY_DEFAULT_DAYS) if offered_days() else None
    return None if days is None else end_of_day(days)


def may_live_forever() -> bool:
    """Return whether users may choose no expiration, as far as the form is concerned."""
    return None in (offered_days() or [None]) or conf.MAX_EXPIRY_DAYS is not None


def validate_expiration(expires_at: datetime | None) -> None:
    """Raise ``ValidationError`` for an expiration in the past, or later than the site allows."""
    limit = conf.MAX_EXPIRY_DAYS
    if expires_at is None and limit is None:
        return
    # A site without a limit still has this one, because dates near the year 9999 overflow.
    days = limit or LONGEST_EXPIRY
    if expires_at is not None and expires_at <= timezone.now():
        error = ValidationError(_("The expiration must be in the future."), code="past")
    elif expires_at is None or expires_at > end_of_day(days):
        error = ValidationError(
            ngettext_lazy(
                "The token must expire within %(days)d day.",
                "The token must expire within %(days)d days.",
                "days",
            ),
            code="max_expiry",
            params={"days": days},
        )
    else:
        return
    raise ValidationError({"expires_at": error})


def may_create(user: Any) -> bool:
    """Return whether the site lets ``user`` create tokens, on the page and through the REST API."""
    rule = conf.MAY_CREATE
    if isinstance(rule, str):
        rule = import_string(rule)
    return rule is None or bool(rule(user))


def creation_error(user: Any, tokens: TokenQuerySet) -> ValidationError | None:
    """Return why ``user``, who has ``tokens``, can't create one more, or None."""
    if may_create(user):
        return limit_reached(tokens)
    return ValidationError(MAY_NOT_CREATE, code="may_not_create")


def check_number(tokens: TokenQuerySet, user: User) -> None:
    """Raise ``ValidationError`` if ``user`` has as many of ``tokens`` as the site allows.

    Call it in the transaction that creates the next one.
    """
    limit = conf.MAX_TOKENS_PER_USER
    if limit is None:
        return
    # Of two requests at the same time, the second waits here until the first has created.
    users = get_user_model()._base_manager.using(tokens.db).select_for_update()
    users.filter(pk=user.pk).values_list("pk").get()
    # A locking read, since MariaDB may count what was there when the transaction began.
    if len(tokens.select_for_update().filter(user=user).values_list("pk")) >= limit:
        raise limit_error(limit)


def limit_reached(tokens: TokenQuerySet) -> ValidationError | None:
    """Return an error if a user with these ``tokens`` may have no more, otherwise None."""
    limit = conf.MAX_TOKENS_PER_USER
    return None if limit is None or tokens.count() < limit else limit_error(limit)


def limit_error(limit: int) -> ValidationError:
    return ValidationError(
        ngettext_lazy(
            "You have reached the limit of %(limit)d token. Delete one to make room.",
            "You have reached the limit of %(limit)d tokens. Delete one to make room.",
            "limit",
        ),
        code="limit",
        params={"limit": limit},
    )
