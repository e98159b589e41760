import asyncio
import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, connection, connections
from django.db.models.lookups import Exact
from django.test import Client
from django.test.utils import CaptureQueriesContext, register_lookup
from pytest_django import DjangoAssertNumQueries

from access_tokens.compiled import CompiledLookup
from access_tokens.fields import NameField
from access_tokens.models import Token
from access_tokens.verification import compiled_lookup

from .factories import KnownToken, TokenFactory

USER_MODELS = [
    "auth.User",
    "user_models.UuidUser --naive",
    "user_models.EmailUser",
    "user_models.ConvertedUser",
    "user_models.Employee",
]

pytestmark = pytest.mark.django_db


@pytest.fixture
def lookup() -> Iterator[CompiledLookup[Token]]:
    """Forget what is compiled, and return the lookup that compiles it again."""
    compiled_lookup.cache_clear()
    yield compiled_lookup(Token, "digest")
    compiled_lookup.cache_clear()


def find(digest: str) -> Token | None:
    return compiled_lookup(Token, "digest").get(digest, using="default")


# The same as the ORM


@pytest.fixture(scope="module")
def comparisons() -> Iterator[dict[str, "subprocess.Popen[str]"]]:
    """Start all comparisons side by side, since each takes as long as Django needs to start."""
    processes = {
        arguments: subprocess.Popen(  # noqa: S603
            [sys.executable, "-W", "error", "-m", "tests.user_models", *arguments.split()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": ""},
        )
        for arguments in USER_MODELS
    }
    yield processes
    for process in processes.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("arguments", USER_MODELS)
def test_compiled_lookup_equals_that_of_the_orm(
    arguments: str, comparisons: dict[str, "subprocess.Popen[str]"]
) -> None:
    output, _ = comparisons[arguments].communicate(timeout=60)

    assert comparisons[arguments].returncode == 0, output


# What it costs


def test_lookup_is_one_query_with_the_user(
    token: KnownToken, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        found = find(token.digest)
        assert found is not None
        assert found.user == token.user
    with django_assert_num_queries(1):
        assert find("unknown") is None


def test_lookup_is_compiled_once(token: KnownToken, monkeypatch: pytest.MonkeyPatch) -> None:
    find(token.digest)
    monkeypatch.setattr(connection.ops.compiler("SQLCompiler"), "as_sql", None)
    find(token.digest)

    assert compiled_lookup(Token, "digest").is_trusted


def plan(sql: str) -> str:
    """Return how the database runs a statement."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # A few rows are read faster without an index.
            cursor.execute("SET LOCAL enable_seqscan = off; ANALYZE access_tokens_token")
        cursor.execute(f"{connection.ops.explain_query_prefix()} {sql}")
        return str(cursor.fetchall())


def test_lookup_uses_the_unique_index(user: User) -> None:
    token = TokenFactory.create(user=user)
    Token.objects.bulk_create(Token(user=user, name=f"{n}", digest=f"{n}") for n in range(200))
    with CaptureQueriesContext(connection) as queries:
        find(token.digest)

    (captured,) = queries.captured_queries
    index = {"sqlite": "(digest=?)"}.get(connection.vendor, "access_tokens_token_digest_unique")
    assert index in plan(captured["sql"])


# The ORM does what the plan can't


class TaggedExact(Exact):
    """Put a parameter of its own beside the value, as the lookup of a site or a backend may."""

    def as_sql(self, *args: Any, **kwargs: Any) -> tuple[str, tuple[Any, ...]]:
        sql, params = super().as_sql(*args, **kwargs)
        return f"({sql} AND %s = %s)", (*params, 1, 1)


def test_lookup_with_other_parameters_is_left_to_the_orm(
    token: KnownToken, lookup: CompiledLookup[Token]
) -> None:
    TokenFactory.create()
    digest: Any = Token._meta.get_field("digest")
    with register_lookup(digest, TaggedExact), CaptureQueriesContext(connection) as queries:
        found = find(token.digest)
        assert found == token
        assert found.user == token.user
        assert found.get_deferred_fields() == {"digest", "previous_digest", "expiry_notice"}

    assert len(queries) == 1
    assert "1 = 1" in queries.captured_queries[0]["sql"]
    assert lookup.is_trusted


def break_compiling(lookup: CompiledLookup[Token], monkeypatch: pytest.MonkeyPatch) -> None:
    # As if Django had no get_related_populators().
    monkeypatch.setattr("access_tokens.compiled.query", None)


def break_building(lookup: CompiledLookup[Token], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup.compile("default"), "populators", [None])


@pytest.mark.parametrize("break_part", [break_compiling, break_building])
@pytest.mark.urls("tests.api")
def test_change_of_private_api_fails_no_request_and_is_logged_once(
    token: KnownToken,
    lookup: CompiledLookup[Token],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    break_part: Callable[[CompiledLookup[Token], pytest.MonkeyPatch], None],
) -> None:
    break_part(lookup, monkeypatch)
    caplog.clear()
    for _ in range(2):
        response = Client().get("/who/", HTTP_AUTHORIZATION=f"Bearer {token.secret}")
        assert response.status_code == 200

    (record,) = [record for record in caplog.records if record.name == "access_tokens"]
    assert record.levelname == "WARNING"
    assert "The compiled lookup of access_tokens.Token failed" in record.getMessage()


def test_change_that_two_threads_see_is_logged_once(
    lookup: CompiledLookup[Token], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def find(value: str, using: str) -> None:
        monkeypatch.setattr(lookup, "find", lambda value, using: None)
        # The other thread begins later and ends first.
        lookup.get(value, using=using)

    monkeypatch.setattr(lookup, "compile", None)
    monkeypatch.setattr(lookup, "find", find)
    lookup.get("unknown", using="default")

    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_error_of_the_database_is_not_taken_for_a_change_of_django(
    token: KnownToken, lookup: CompiledLookup[Token]
) -> None:
    def fail(execute: Any, *args: Any) -> None:
        raise DatabaseError

    with connection.execute_wrapper(fail), pytest.raises(DatabaseError):
        find(token.digest)

    assert lookup.is_trusted


async def verify_in_a_coroutine(digest: str) -> None:
    with pytest.raises(SynchronousOnlyOperation):
        find(digest)


def test_error_that_the_orm_raises_too_is_not_taken_for_a_change_of_django(
    token: KnownToken, lookup: CompiledLookup[Token]
) -> None:
    asyncio.run(verify_in_a_coroutine(token.digest))

    assert lookup.is_trusted


# Converters and threads


def test_value_of_a_field_is_converted(
    token: KnownToken, lookup: CompiledLookup[Token], monkeypatch: pytest.MonkeyPatch
) -> None:
    def from_db_value(self: Any, value: str, *args: Any) -> str:
        return value.upper()

    monkeypatch.setattr(NameField, "from_db_value", from_db_value, raising=False)

    assert Token.objects.verify(token.secret).name == "LAPTOP"


def test_converter_is_used_only_by_the_thread_that_asked_for_it(
    committed_token: KnownToken, lookup: CompiledLookup[Token], monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_db_converters(self: Any, connection: Any) -> list[Callable[..., str]]:
        # As the geometry fields of GeoDjango do, whose converters hold a reader of the thread.
        owner = threading.get_ident()
        return [lambda *args: str(threading.get_ident() == owner)]

    def read() -> str:
        found = find(committed_token.digest)
        close(connections["default"])
        assert found is not None
        return found.name

    monkeypatch.setattr(NameField, "get_db_converters", get_db_converters)
    names = []
    for _ in range(2):
        with ThreadPoolExecutor(1) as executor:
            names.append(executor.submit(read).result())

    assert names == ["True", "True"]


def close(connection: Any) -> None:
    # close() leaves one to a database in memory open.
    connection._close()


@pytest.fixture
def committed_token(transactional_db: None) -> KnownToken:
    return TokenFactory.create()


def test_each_thread_uses_its_own_connection(committed_token: KnownToken) -> None:
    def run() -> Any:
        seen: list[Any] = []

        def see(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            # Some backends begin with a query of their own.
            if Token._meta.db_table in sql:
                seen.append(context["connection"])
            return execute(sql, params, many, context)

        with connections["default"].execute_wrapper(see):
            find(committed_token.digest)
        assert seen == [connections["default"]]
        return seen[0]

    def run_and_close() -> Any:
        used = run()
        close(connections["default"])
        return used

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        used = [run(), one.submit(run_and_close).result(), other.submit(run_and_close).result()]

    assert len(set(used)) == 3


def test_no_connection_is_kept(committed_token: KnownToken, lookup: CompiledLookup[Token]) -> None:
    def run() -> "weakref.ref[Any]":
        find(committed_token.digest)
        reference = weakref.ref(connections["default"])
        close(connections["default"])
        return reference

    with ThreadPoolExecutor(1) as executor:
        reference = executor.submit(run).result()
    gc.collect()

    assert reference() is None
    # And what was compiled with it works without it.
    assert find(committed_token.digest) == committed_token
