"""What the pages ask of the database when there are many tokens."""

from __future__ import annotations

import re
from http import HTTPStatus

from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from .databases import using
from .report import print_heading

PAGES = {"list page": "access_tokens:list", "admin list": "admin:access_tokens_token_changelist"}

EXPLAIN = {
    "mysql": "EXPLAIN",
    "postgresql": "EXPLAIN (COSTS OFF)",
    "sqlite": "EXPLAIN QUERY PLAN",
}
# How a plan says that it reads all tokens, and that it sorts what it has read.
SCAN = {
    "mysql": r"access_tokens_token (ALL|index)\b",
    "postgresql": r"(Seq Scan|Index Only Scan using \w+) on access_tokens_token(?!.*\n +Index Cond)",
    "sqlite": r"SCAN access_tokens_token",
}
SORT = {"mysql": "filesort", "postgresql": "Sort", "sqlite": "TEMP B-TREE"}


def explain_pages(few: int, many: int) -> None:
    """Print how many queries each page takes, and the plans of those that read tokens."""
    for page, name in PAGES.items():
        queries = {size: captured(f"{size}", reverse(name)) for size in (few, many)}
        numbers = [f"{len(queries[size])} queries with {size:,} tokens" for size in queries]
        print_heading(f"The {page}: {', '.join(numbers)}")
        for sql in queries[many]:
            if "access_tokens_token" in sql:
                print_plan(f"{many}", sql)


def captured(alias: str, url: str) -> list[str]:
    """Return the queries for a page of a superuser who has tokens."""
    client = Client()
    with using(alias), CaptureQueriesContext(connections[alias]) as context:
        user = User.objects.filter(access_tokens__isnull=False).earliest("pk")
        user.is_staff = user.is_superuser = True
        user.save()
        client.force_login(user)
        before = len(context)
        response = client.get(url)
    if response.status_code != HTTPStatus.OK:
        raise CommandError(f"{url} answers {response.status_code}.")
    return [query["sql"] for query in context.captured_queries[before:]]


def print_plan(alias: str, sql: str) -> None:
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(f"{EXPLAIN[connection.vendor]} {sql}")
        plan = "\n".join(" ".join(map(str, row)) for row in cursor.fetchall())
    print(re.sub("SELECT .{40,} FROM", "SELECT … FROM", sql), plan, sep="\n")
    print("=> full scan\n" if is_full_scan(connection.vendor, sql, plan) else "=> no full scan\n")


def is_full_scan(vendor: str, sql: str, plan: str) -> bool:
    """Tell whether all tokens are read: nothing narrows the query, and no limit stops it early."""
    is_narrow = " WHERE " in sql and not re.search(SCAN[vendor], plan)
    stops = " LIMIT " in sql and not re.search(SORT[vendor], plan)
    return not is_narrow and not stops
