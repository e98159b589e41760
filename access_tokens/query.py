"""The two queries of a request, compiled by the ORM once per database and run many times.

Building and compiling a query takes the ORM several times as long as running it, and here the
result is always the same. So only that result is kept: the SQL, and the plan by which the ORM
makes instances of a row. The ORM still writes the SQL, converts the values and builds the
instances, so that custom user models, converters and backends behave as they always do. No
connection is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Func, Q
from django.db.models.query import get_related_populators
from django.db.models.sql import UpdateQuery
from django.utils import timezone

from .conf import conf

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from .models import Token

Converter = Callable[[Any, Any, BaseDatabaseWrapper], Any]


def get_by_digest(model: type[Token], digest: str, *, using: str) -> Token | None:
    """Return the token with ``digest``, joined with its user, or None."""
    # The converters of some backends depend on USE_TZ, which tests change.
    return _lookup(model, using, settings.USE_TZ).get(digest)


def update_last_used(model: type[Token], pk: Any, moment: datetime, *, using: str) -> None:
    """Set ``last_used_at`` to ``moment``, unless the token is gone or a later moment is stored."""
    connection = connections[using]
    # A transaction of the caller stays as durable as it was.
    is_asynchronous = (
        connection.vendor == "postgresql"
        and connection.get_autocommit()
        and not conf.LAST_USED_SYNCHRONOUS_COMMIT
    )
    sql = _update_sql(model, using, is_asynchronous)
    if sql is None:
        _outdated(model, pk, moment, using, is_asynchronous).update(last_used_at=moment)
        return
    value = connection.ops.adapt_datetimefield_value(moment)
    with connection.cursor() as cursor:
        cursor.execute(sql, (value, value, pk))


class Lookup:
    """``select_related("user").get(digest=…)``, compiled for one database."""

    def __init__(self, model: type[Token], using: str, use_tz: bool) -> None:
        self.model, self.using = model, using
        # Nobody who holds the token needs its digest.
        self.queryset = model._base_manager.using(using).select_related("user").defer("digest")
        compiler = self.queryset.filter(digest="?").order_by().query.get_compiler(using)
        self.sql, params = compiler.as_sql()
        # What a backend writes in another way is left to the ORM.
        self.is_compiled = params == ("?",)
        columns = [column for column, *_ in compiler.select]
        self.attnames = [columns[i].target.attname for i in compiler.klass_info["select_fields"]]
        self.converters = [
            (i, column, unbound(converter, compiler.connection))
            for i, (converters, column) in compiler.get_converters(columns).items()
            for converter in converters
        ]
        # Django 6.1 added fetch modes.
        fetch_mode = [self.queryset._fetch_mode] if django.VERSION >= (6, 1) else []  # type: ignore[attr-defined]  # private
        self.populators = get_related_populators(
            compiler.klass_info, compiler.select, using, *fetch_mode
        )

    def get(self, digest: str) -> Token | None:
        if not self.is_compiled:
            return self.queryset.filter(digest=digest).first()
        connection = connections[self.using]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, (digest,))
            row = cursor.fetchone()
        return None if row is None else self.instance(list(row), connection)

    def instance(self, row: list[Any], connection: BaseDatabaseWrapper) -> Token:
        """Make the token and its user of ``row``, as ``QuerySet`` does."""
        for i, column, convert in self.converters:
            row[i] = convert(row[i], column, connection)
        token = self.model.from_db(self.using, self.attnames, row[: len(self.attnames)])
        for populator in self.populators:
            populator.populate(row, token)
        return token


def unbound(converter: Converter, connection: BaseDatabaseWrapper) -> Converter:
    """Return ``converter`` without the connection to whose operations it may be bound."""
    if getattr(converter, "__self__", None) is not connection.ops:
        return converter
    function = converter.__func__  # type: ignore[attr-defined]  # a bound method
    return lambda value, column, connection: function(connection.ops, value, column, connection)


_lookup = cache(Lookup)


class CommitsAsynchronously(Func):
    """A condition that is true, and lets the transaction commit without waiting for the disk.

    After a crash that transaction may be missing, but nothing is damaged
    (https://www.postgresql.org/docs/current/wal-async-commit.html).
    """

    template = "set_config('synchronous_commit', 'off', true) = 'off'"
    output_field = BooleanField()


def _outdated(
    model: type[Token], pk: Any, moment: datetime, using: str, is_asynchronous: bool
) -> QuerySet[Token]:
    tokens = model._base_manager.using(using).filter(
        Q(last_used_at=None) | Q(last_used_at__lt=moment), pk=pk
    )
    return tokens.filter(CommitsAsynchronously()) if is_asynchronous else tokens


@cache
def _update_sql(model: type[Token], using: str, is_asynchronous: bool) -> str | None:
    moment = timezone.now()
    query = _outdated(model, 0, moment, using, is_asynchronous).query.chain(UpdateQuery)
    query.add_update_values({"last_used_at": moment})  # type: ignore[attr-defined]  # an UpdateQuery
    sql, params = query.get_compiler(using).as_sql()
    value = connections[using].ops.adapt_datetimefield_value(moment)
    return sql if params == (value, value, 0) else None
