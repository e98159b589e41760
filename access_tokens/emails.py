"""The emails to users, about tokens that expire soon, that leaked, or that were created."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import router, transaction
from django.db.models import Q
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string
from django.utils import timezone, translation

from .conf import conf
from .querysets import DIGESTS

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from .models import Token
    from .querysets import TokenQuerySet

logger = logging.getLogger("access_tokens")

EXPIRY_NOTICE_DAYS: Final = (7, 1)


def send_expiry_emails(days: Collection[int] = EXPIRY_NOTICE_DAYS) -> tuple[int, int]:
    """Send each user one email about the tokens that expire within one of ``days``.

    Return how many emails were sent and how many failed. Each token is announced once for each
    of the ``days``, even if several hosts run this at the same time. An email that can't be sent
    is tried again the next time.
    """
    sent = failed = 0
    for user, notices in expiring_tokens(days):
        claimed = claim(notices)
        if not claimed:
            continue
        try:
            send_email("expiry", user, {"tokens": list(claimed)})
        except BaseException as error:
            give_back(claimed)
            if not isinstance(error, Exception):
                raise
            log_failure("expiry", user, error)
            failed += 1
        else:
            sent += 1
    return sent, failed


def expiring_tokens(
    days: Collection[int] = EXPIRY_NOTICE_DAYS,
) -> Iterator[tuple[User, dict[Token, int]]]:
    """Yield the users to tell and their tokens, each with the smallest number that applies."""
    now = timezone.now()
    limits = {number: now + timedelta(days=number) for number in sorted(days)}
    is_due = Q(pk__in=())
    for number, limit in limits.items():
        is_due |= Q(expires_at__lte=limit) & not_announced(number)
    due = all_tokens().filter(is_due, expires_at__gt=now).select_related("user").defer(*DIGESTS)
    tokens = due.order_by("user_id", "expires_at", "pk").iterator()
    for _user_id, group in groupby(tokens, attrgetter("user_id")):
        notices = {
            token: next(number for number, limit in limits.items() if token.expires_at <= limit)  # type: ignore[operator]  # it expires
            for token in group
        }
        user = next(iter(notices)).user
        # Not part of the query, since a user model may have neither of these as a column.
        if user.is_active and email_address(user):
            yield user, notices


def not_announced(days: int) -> Q:
    return Q(expiry_notice=None) | Q(expiry_notice__gt=days)


def all_tokens() -> TokenQuerySet:
    # apps.py imports this module before the models are ready.
    model: type[Token] = apps.get_model("access_tokens", "Token")
    return model.objects.using(router.db_for_write(model))


def claim(notices: Mapping[Token, int]) -> dict[Token, int]:
    """Store that these tokens are announced, and return those that no other host announces.

    All tokens of a user are claimed in one transaction, so one of two hosts gets them all.
    """
    tokens = all_tokens()
    # The email is sent afterwards, so the transaction must end here.
    with transaction.atomic(using=tokens.db, durable=True):
        return {
            token: days
            for token, days in notices.items()
            if tokens.filter(not_announced(days), pk=token.pk, expires_at=token.expires_at).update(
                expiry_notice=days
            )
        }


def give_back(notices: Mapping[Token, int]) -> None:
    """Undo ``claim()``, except for tokens that were rotated in the meantime."""
    for token, days in notices.items():
        claimed = all_tokens().filter(pk=token.pk, expires_at=token.expires_at, expiry_notice=days)
        claimed.update(expiry_notice=token.expiry_notice)


def receive_token_created(token: Token, **kwargs: Any) -> None:
    """Tell the owner of a new token, once it is committed, if the site wants that."""
    if conf.EMAIL_ON_CREATION and email_address(token.user):
        transaction.on_commit(partial(send_creation_email, token), using=token._state.db)


def send_creation_email(token: Token) -> None:
    try:
        send_email("created", token.user, {"token": token})
    except Exception as error:
        log_failure("created", token.user, error)


def send_leak_email(tokens: Sequence[Token]) -> None:
    """Tell the owner of these tokens that they leaked and were revoked."""
    user = tokens[0].user
    if not user.is_active or not email_address(user):
        return
    try:
        # The active language may be that of a stranger who reported the leak.
        with translation.override(settings.LANGUAGE_CODE):
            send_email("leaked", user, {"tokens": tokens})
    except Exception as error:
        log_failure("leaked", user, error)


def email_address(user: User) -> str:
    return getattr(user, user.get_email_field_name(), None) or ""


def send_email(name: str, user: User, context: Mapping[str, Any]) -> None:
    """Send ``user`` the email of the templates ``access_tokens/email/<name>….txt``.

    Its language is the user's attribute ``language``, or else the active language.
    """

    def render(suffix: str) -> str:
        return render_to_string(f"access_tokens/email/{name}{suffix}", {"user": user, **context})

    with translation.override(getattr(user, "language", None) or translation.get_language()):
        subject = "".join(render("_subject.txt").splitlines())
        email = EmailMultiAlternatives(subject, render(".txt"), to=[email_address(user)])
        # A site may add this template.
        with suppress(TemplateDoesNotExist):
            email.attach_alternative(render(".html"), "text/html")
    email.send()


def log_failure(name: str, user: User, error: Exception) -> None:
    logger.warning("The email %r was not sent to user %s: %s.", name, user.pk, type(error).__name__)
