"""A lookup by one field that the ORM compiles once per database and runs many times.

Building and compiling a query takes the ORM several times as long as running it, and the result
is always the same. So only that result is kept: the SQL, and the plan by which the ORM makes
instances of a row. The ORM still writes the SQL, converts the values and builds the instances, so
custom user models, converters and backends behave as they always do.

The plan uses private APIs of Django. If it fails, the ORM does the lookup from then on.
"""

from __future__ import annotations

import logging
from typing import Any, Generic, TypeVar

import django
from django.db import Error, connections
from django.db.models import Model, QuerySet, query

logger = logging.getLogger("access_tokens")

M = TypeVar("M", bound=Model)


class CompiledLookup(Generic[M]):
    """``queryset.get(field=…)`` for a unique field, compiled at its first use."""

    def __init__(self, queryset: QuerySet[M], field: str) -> None:
        self.queryset, self.field = queryset, field
        self.plans: dict[str, Plan[M]] = {}
        self.is_trusted = True

    def get(self, value: str, *, using: str) -> M | None:
        """Return the instance whose field is ``value``, or None."""
        if self.is_trusted:
            try:
                plan = self.plans.get(using) or self.compile(using)
                if plan.is_complete:
                    return plan.get(value)
            except Error:
                raise
            except Exception as error:
                # If the ORM fails as well, the plan is not to blame.
                found = self.find(value, using)
                # Another thread may have logged it meanwhile.
                if self.is_trusted:
                    self.is_trusted = False
                    logger.warning(
                        "The compiled lookup of %s failed (%s), so the ORM does it from now on.",
                        self.queryset.model._meta.label,
                        type(error).__name__,
                    )
                return found
        return self.find(value, using)

    def find(self, value: str, using: str) -> M | None:
        return self.queryset.using(using).filter(**{self.field: value}).first()

    def compile(self, using: str) -> Plan[M]:
        plan = self.plans[using] = Plan(self.queryset.using(using), self.field)
        return plan


class Plan(Generic[M]):
    """The SQL of a lookup on one database, and how the ORM makes instances of its row."""

    def __init__(self, queryset: QuerySet[M], field: str) -> None:
        self.model, self.using = queryset.model, queryset.db
        compiler = queryset.filter(**{field: "?"}).order_by().query.get_compiler(self.using)
        self.sql, params = compiler.as_sql()
        # A backend or a custom lookup may add parameters of its own.
        self.is_complete = params == ("?",)
        columns = [column for column, *_ in compiler.select]
        self.attnames = [columns[i].target.attname for i in compiler.klass_info["select_fields"]]
        self.converted = [(i, columns[i]) for i in compiler.get_converters(columns)]
        # Django 6.1 added fetch modes.
        fetch_mode = [queryset._fetch_mode] if django.VERSION >= (6, 1) else []  # type: ignore[attr-defined]  # private
        self.populators = query.get_related_populators(
            compiler.klass_info, compiler.select, self.using, *fetch_mode
        )

    def get(self, value: str) -> M | None:
        connection = connections[self.using]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, (value,))
            row: Any = cursor.fetchone()
        if row is None:
            return None
        row = list(row)
        for i, column in self.converted:
            # Asked for each row, since a converter may hold thread-local state.
            converters = connection.ops.get_db_converters(column)
            for convert in converters + column.get_db_converters(connection):
                row[i] = convert(row[i], column, connection)
        instance = self.model.from_db(self.using, self.attnames, row[: len(self.attnames)])
        for populator in self.populators:
            populator.populate(row, instance)
        return instance
