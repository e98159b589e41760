"""When and how the use of a token is written.

The write must never be what makes an API slow, so it holds no lock while a view runs: outside of
a transaction it is done at once, and inside of one it waits until the request has finished.
"""

from __future__ import annotations

import logging
import threading
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from asgiref.sync import SyncToAsync
from django.core.handlers.asgi import ASGIRequest
from django.db import Error, connections, router, transaction
from django.http import HttpRequest
from django.utils import timezone

from .conf import conf
from .query import update_last_used
from .signals import last_used_failed

if TYPE_CHECKING:
    from .models import Token

logger = logging.getLogger("access_tokens")


class Deferred(threading.local):
    """The uses that wait for the end of the request that this thread serves.

    Not a context variable: Django runs a view and the end of its request in one thread, but
    under ASGI not always in one context.
    """

    def __init__(self) -> None:
        self.uses: list[tuple[Token, datetime, str]] = []


deferred = Deferred()


def record_use(token: Token, request: HttpRequest) -> None:
    """Record that ``token``, as ``verify()`` returned it, is used now by ``request``."""
    resolution = conf.LAST_USED_RESOLUTION
    if resolution is None:
        return
    moment = floor(timezone.now(), resolution)
    if token.last_used_at is not None and token.last_used_at >= moment:
        return
    using = router.db_for_write(type(token), instance=token)
    if connections[using].in_atomic_block and ends_in_this_thread(request):
        deferred.uses.append((token, moment, using))
    else:
        write(token, moment, using)


def ends_in_this_thread(request: HttpRequest) -> bool:
    """Tell whether this thread will get the ``request_finished`` of ``request``."""
    # Only a handler resolves a request, and it sends the signal. Under ASGI it does so in the
    # thread of its ThreadSensitiveContext, but AsyncClient has none and does so in any thread.
    return request.resolver_match is not None and (
        not isinstance(request, ASGIRequest)
        or SyncToAsync.thread_sensitive_context.get(None) is not None
    )


def floor(moment: datetime, resolution: timedelta) -> datetime:
    """Return the last multiple of ``resolution`` that is not after ``moment``."""
    if not resolution:
        return moment
    return moment - (moment - datetime.min.replace(tzinfo=moment.tzinfo)) % resolution


def write(token: Token, moment: datetime, using: str) -> None:
    """Write a use; when the database refuses, say so and go on."""
    connection = connections[using]
    # A savepoint keeps a transaction of the caller usable; without one, nothing is needed.
    guard = transaction.atomic(using=using) if connection.in_atomic_block else nullcontext()
    try:
        with guard:
            update_last_used(type(token), token.pk, moment, using=using)
    except Error as error:
        logger.warning(
            "The use of token %s of user %s was not recorded: %s.",
            token.pk,
            token.user_id,
            type(error).__name__,
        )
        is_open = connection.connection is not None and not connection.in_atomic_block
        if is_open and not connection.is_usable():
            # The next query shall not meet a connection that broke.
            connection.close()
        last_used_failed.send_robust(sender=type(token), token=token, error=error)


def write_deferred(**kwargs: Any) -> None:
    """Write the uses that waited for ``request_finished``."""
    while deferred.uses:
        write(*deferred.uses.pop())
