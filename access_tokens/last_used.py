"""When and how the use of a token is written.

The write must not slow an API down, so it holds no lock while a view runs. Outside a transaction
it happens at once. Inside one it waits for the end of the transaction.
"""

from __future__ import annotations

import logging
import threading
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from asgiref.sync import SyncToAsync
from django.core.handlers.asgi import ASGIRequest
from django.db import Error, connections, router, transaction
from django.http import HttpRequest
from django.utils import timezone

from .conf import conf
from .signals import last_used_failed

if TYPE_CHECKING:
    from .models import Token

logger = logging.getLogger("access_tokens")


class Use(NamedTuple):
    """What a use of a token changes; None is for what stays as it is."""

    token: Token
    using: str
    last_used_at: datetime | None
    previous_ends_at: datetime | None


class Deferred(threading.local):
    """The uses that wait, in this thread, for the end of a transaction.

    Not a context variable: Django runs a view and the end of its request in one thread, but
    under ASGI not always in one context.
    """

    def __init__(self) -> None:
        self.uses: list[Use] = []


deferred = Deferred()


def record_use(token: Token, request: HttpRequest | None = None) -> None:
    """Record that ``token``, as ``verify()`` returned it, is used now."""
    now = timezone.now()
    changes = (last_used_at(token, now), previous_ends_at(token, now))
    if changes == (None, None):
        return
    use = Use(token, router.db_for_write(type(token), instance=token), *changes)
    if request is not None and ends_in_this_thread(request) and is_in_transaction(use.using):
        deferred.uses.append(use)
        # A reader may take minutes for the response, so a commit doesn't wait for it.
        transaction.on_commit(write_deferred, using=use.using, robust=True)
    else:
        write(use)


def confirm_secret(token: Token) -> None:
    """Write that the secret of ``token`` is in use, even in an open transaction.

    A rotation would replace a secret that was never used.
    """
    time = previous_ends_at(token, timezone.now())
    if time is not None:
        end_previous(token, time, router.db_for_write(type(token), instance=token))


def last_used_at(token: Token, now: datetime) -> datetime | None:
    """Return the last-used time to write, or None if there is nothing to write."""
    resolution = conf.LAST_USED_RESOLUTION
    if resolution is None:
        return None
    time = floor(now, resolution)
    return time if token.last_used_at is None or token.last_used_at < time else None


def previous_ends_at(token: Token, now: datetime) -> datetime | None:
    """Return when the previous secret ends if this is the first use of the new one, else None."""
    if token.rotated_at is None or token.previous_ends_at or token.by_previous_secret:
        return None
    return now + (conf.ROTATION_OVERLAP or timedelta(0))


def is_in_transaction(using: str) -> bool:
    """Return whether a transaction that will end is open, other than that of a test case."""
    connection = connections[using]
    # Without AUTOCOMMIT, the site ends its transactions, and a later write would begin another.
    if not connection.in_atomic_block or not connection.settings_dict["AUTOCOMMIT"]:
        return False
    try:
        with transaction.atomic(using=using, savepoint=False, durable=True):
            return False
    except RuntimeError:
        return True


def ends_in_this_thread(request: HttpRequest) -> bool:
    """Return whether this thread gets the ``request_finished`` of ``request``."""
    # Only a handler resolves a request, and it sends the signal. Under ASGI it does so in the
    # thread of its ThreadSensitiveContext, but AsyncClient has none and does so in any thread.
    return request.resolver_match is not None and (
        not isinstance(request, ASGIRequest)
        or SyncToAsync.thread_sensitive_context.get(None) is not None
    )


def floor(time: datetime, resolution: timedelta) -> datetime:
    """Return the last multiple of ``resolution`` that is not after ``time``."""
    if not resolution:
        return time
    return time - (time - datetime.min.replace(tzinfo=time.tzinfo)) % resolution


def write_deferred(**kwargs: Any) -> None:
    """Write the uses that waited, except those whose transaction is still open.

    A view may send a request of its own, which ends before the transaction of the view does.
    """
    waiting, deferred.uses = deferred.uses, []
    for use in waiting:
        if is_in_transaction(use.using):
            deferred.uses.append(use)
        else:
            write(use)


def write(use: Use) -> None:
    """Write a use. If the database refuses it, log that and go on."""
    token, connection = use.token, connections[use.using]
    try:
        # A savepoint keeps a transaction of the caller usable.
        is_autocommit = connection.get_autocommit()
        with nullcontext() if is_autocommit else transaction.atomic(using=use.using):
            if use.last_used_at is not None:
                update(type(token), token.pk, use.last_used_at, use.using)
            if use.previous_ends_at is not None:
                end_previous(token, use.previous_ends_at, use.using)
    except Error as error:
        logger.warning(
            "The use of token %s of user %s was not recorded: %s.",
            token.pk,
            token.user_id,
            type(error).__name__,
        )
        # The next query of the view needs a connection that works.
        if connection.autocommit and connection.connection and not connection.is_usable():
            connection.close()
        last_used_failed.send_robust(sender=type(token), token=token, error=error)


def update(model: type[Token], pk: int, time: datetime, using: str) -> None:
    """Set ``last_used_at`` to ``time``, unless the token is gone or a later time is stored."""
    connection, meta = connections[using], model._meta
    field = meta.get_field("last_used_at")
    names = (meta.db_table, meta.pk.column, field.column)
    table, key, column = (connection.ops.quote_name(name or "") for name in names)
    # Outside a transaction, PostgreSQL doesn't wait for the disk. A crash may lose this update,
    # but damages nothing (https://www.postgresql.org/docs/current/wal-async-commit.html).
    is_asynchronous = (
        connection.vendor == "postgresql"
        and connection.get_autocommit()
        and not conf.LAST_USED_SYNCHRONOUS_COMMIT
    )
    set_commit = " AND set_config('synchronous_commit', 'off', true) = 'off'"
    sql = (
        f"UPDATE {table} SET {column} = %s"  # noqa: S608  # the names of the model
        f" WHERE {key} = %s AND ({column} IS NULL OR {column} < %s)"
        f"{set_commit if is_asynchronous else ''}"
    )
    value = field.get_db_prep_value(time, connection)
    with connection.cursor() as cursor:
        cursor.execute(sql, (value, pk, value))


def end_previous(token: Token, time: datetime, using: str) -> None:
    """Let the previous secret of ``token`` end at ``time``, unless its end is already known.

    Do nothing if the token was rotated in the meantime: this secret is not the new one then.
    """
    tokens = type(token)._base_manager.using(using)
    first_use = tokens.filter(pk=token.pk, rotated_at=token.rotated_at, previous_ends_at=None)
    first_use.update(previous_ends_at=time)
