import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.lookups import Exact, LessThan
from django.test.utils import CaptureQueriesContext, register_lookup
from pytest_django import DjangoAssertNumQueries, Settings

from access_tokens import query
from access_tokens.fields import NameField
from access_tokens.models import Token

from .factories import KnownToken, TokenFactory

MOMENT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
USER_MODELS = [
    "auth.User",
    "user_models.UuidUser --naive",
    "user_models.EmailUser",
    "user_models.ConvertedUser",
    "user_models.Employee",
]

pytestmark = pytest.mark.django_db
postgresql_only = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="only PostgreSQL has the choice"
)


# The same as the ORM


@pytest.fixture(scope="module")
def comparisons() -> Iterator[dict[str, "subprocess.Popen[str]"]]:
    """Start all comparisons side by side, for each takes as long as Django needs to start."""
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
def test_compiled_queries_equal_those_of_the_orm(
    arguments: str, comparisons: dict[str, "subprocess.Popen[str]"]
) -> None:
    output, _ = comparisons[arguments].communicate(timeout=60)

    assert comparisons[arguments].returncode == 0, output


# What they cost


def test_lookup_is_one_query_with_the_user(
    token: KnownToken, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        found = query.get_by_digest(Token, token.digest, using="default")
        assert found is not None
        assert found.user == token.user
    with django_assert_num_queries(1):
        assert query.get_by_digest(Token, "unknown", using="default") is None


def test_update_is_one_query_of_one_column(
    token: KnownToken, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1) as queries:
        query.update_last_used(Token, token.pk, MOMENT, using="default")

    (update,) = queries.captured_queries
    set_clause = update["sql"].partition(" SET ")[2].partition(" WHERE ")[0]
    assert set_clause.count("=") == 1
    assert "last_used_at" in set_clause


def test_queries_are_compiled_once(token: KnownToken, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> None:
        query.get_by_digest(Token, token.digest, using="default")
        query.update_last_used(Token, token.pk, MOMENT, using="default")

    run()
    for compiler in ("SQLCompiler", "SQLUpdateCompiler"):
        monkeypatch.setattr(connection.ops.compiler(compiler), "as_sql", None)
    run()


def plan(sql: str) -> str:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # A few rows are read faster without an index.
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"{connection.ops.explain_query_prefix()} {sql}")
        return str(cursor.fetchall())


@pytest.mark.parametrize(
    ("run", "indexes"),
    [
        (
            lambda token: query.get_by_digest(Token, token.digest, using="default"),
            {"sqlite": "(digest=?)", None: "access_tokens_digest_unique"},
        ),
        (
            lambda token: query.update_last_used(Token, token.pk, MOMENT, using="default"),
            {"sqlite": "(rowid=?)", "postgresql": "access_tokens_token_pkey", None: "PRIMARY"},
        ),
    ],
    ids=["look-up", "update"],
)
def test_index_is_used(
    user: Any, run: Callable[[Token], object], indexes: dict[str | None, str]
) -> None:
    token = TokenFactory.create_batch(5, user=user)[2]
    with CaptureQueriesContext(connection) as queries:
        run(token)

    (captured,) = queries.captured_queries
    assert indexes.get(connection.vendor, indexes[None]) in plan(captured["sql"])


# The update


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, MOMENT),
        (MOMENT - timedelta(days=1), MOMENT),
        (MOMENT - timedelta(microseconds=1), MOMENT),
        (MOMENT, MOMENT),
        (MOMENT + timedelta(microseconds=1), MOMENT + timedelta(microseconds=1)),
    ],
    ids=str,
)
def test_later_moment_stays(user: Any, stored: datetime | None, expected: datetime) -> None:
    token = TokenFactory.create(user=user, last_used_at=stored)

    query.update_last_used(Token, token.pk, MOMENT, using="default")

    token.refresh_from_db()
    assert token.last_used_at == expected


def test_only_one_token_is_updated(user: Any) -> None:
    one, other = TokenFactory.create_batch(2, user=user)

    query.update_last_used(Token, one.pk, MOMENT, using="default")

    assert list(Token.objects.filter(last_used_at=MOMENT)) == [one]
    assert list(Token.objects.filter(last_used_at=None)) == [other]


def test_deleted_token_stays_deleted(token: KnownToken) -> None:
    pk = token.pk
    token.delete()

    query.update_last_used(Token, pk, MOMENT, using="default")

    assert not Token.objects.exists()


def test_nothing_else_is_written(token: KnownToken) -> None:
    Token.objects.update(name="renamed meanwhile")

    query.update_last_used(Token, token.pk, MOMENT, using="default")

    assert Token.objects.get().name == "renamed meanwhile"


@pytest.fixture
def commit_modes(committed_token: KnownToken) -> Iterator[Callable[[], list[str]]]:
    """Return a function that says how the transaction of an update commits, and one after it."""

    def setting() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            return str(cursor.fetchone()[0])

    def update() -> list[str]:
        Token.objects.update(last_used_at=None, partial="")
        query.update_last_used(Token, committed_token.pk, MOMENT, using="default")
        assert Token.objects.get().last_used_at == MOMENT
        return [Token.objects.get().partial, setting()]

    with connection.cursor() as cursor:
        cursor.execute("""
            SET synchronous_commit = 'local';
            CREATE FUNCTION note_commit_mode() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN NEW.partial := current_setting('synchronous_commit'); RETURN NEW; END $$;
            CREATE TRIGGER note_commit_mode BEFORE UPDATE ON access_tokens_token
                FOR EACH ROW EXECUTE FUNCTION note_commit_mode();
            """)
        yield update
        connection.rollback()
        connection.set_autocommit(True)
        cursor.execute("DROP FUNCTION note_commit_mode CASCADE; RESET synchronous_commit")


@postgresql_only
def test_update_does_not_wait_for_the_disk(commit_modes: Callable[[], list[str]]) -> None:
    assert commit_modes() == ["off", "local"]


@postgresql_only
def test_transaction_of_the_caller_is_as_durable_as_before(
    commit_modes: Callable[[], list[str]],
) -> None:
    with transaction.atomic():
        in_atomic = commit_modes()
    connection.set_autocommit(False)
    without_autocommit = commit_modes()

    assert in_atomic == without_autocommit == ["local", "local"]


@postgresql_only
def test_update_waits_for_the_disk_where_a_site_wants_it(
    commit_modes: Callable[[], list[str]], settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"LAST_USED_SYNCHRONOUS_COMMIT": True}

    assert commit_modes() == ["local", "local"]


# The fall-back


class TaggedExact(Exact):
    """As a site or a backend may write it that puts a parameter of its own beside the value."""

    def as_sql(self, *args: Any, **kwargs: Any) -> tuple[str, tuple[Any, ...]]:
        sql, params = super().as_sql(*args, **kwargs)
        return f"({sql} AND %s = %s)", (*params, 1, 1)


class TaggedLessThan(LessThan):
    def as_sql(self, *args: Any, **kwargs: Any) -> tuple[str, tuple[Any, ...]]:
        sql, params = super().as_sql(*args, **kwargs)
        return f"({sql} AND %s = %s)", (*params, 1, 1)


@pytest.fixture
def tagged_lookups() -> Iterator[None]:
    """Make the SQL have other parameters, by the interface that Django offers for it."""
    query._lookup.cache_clear()
    query._update_sql.cache_clear()
    digest: Any = Token._meta.get_field("digest")
    last_used_at: Any = Token._meta.get_field("last_used_at")
    with register_lookup(digest, TaggedExact), register_lookup(last_used_at, TaggedLessThan):
        yield
    query._lookup.cache_clear()
    query._update_sql.cache_clear()


@pytest.mark.usefixtures("tagged_lookups")
def test_lookup_with_other_parameters_is_left_to_the_orm(token: KnownToken) -> None:
    TokenFactory.create()
    with CaptureQueriesContext(connection) as queries:
        found = query.get_by_digest(Token, token.digest, using="default")
        assert found == token
        assert found.user == token.user
        assert found.get_deferred_fields() == {"digest"}

    assert len(queries) == 1
    assert "1 = 1" in queries.captured_queries[0]["sql"]
    assert query.get_by_digest(Token, "unknown", using="default") is None


@pytest.mark.usefixtures("tagged_lookups")
def test_update_with_other_parameters_is_left_to_the_orm(token: KnownToken) -> None:
    for moment in (MOMENT, MOMENT - timedelta(days=1)):
        with CaptureQueriesContext(connection) as queries:
            query.update_last_used(Token, token.pk, moment, using="default")

    assert len(queries) == 1
    assert "1 = 1" in queries.captured_queries[0]["sql"]
    token.refresh_from_db()
    assert token.last_used_at == MOMENT


# Threads


def in_a_thread(function: Callable[[], None]) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def close(connection: Any) -> None:
    # close() leaves one to a database in memory open.
    connection._close()


@pytest.fixture
def committed_token(transactional_db: None) -> KnownToken:
    return TokenFactory.create()


def test_each_thread_uses_its_own_connection(committed_token: KnownToken) -> None:
    seen: list[Any] = []

    def see(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        # Some backends begin with a query of their own.
        if Token._meta.db_table in sql:
            seen.append(context["connection"])
        return execute(sql, params, many, context)

    def run() -> None:
        with connections["default"].execute_wrapper(see):
            query.get_by_digest(Token, committed_token.digest, using="default")
            query.update_last_used(Token, committed_token.pk, MOMENT, using="default")

    def run_and_close() -> None:
        run()
        close(connections["default"])

    in_a_thread(run_and_close)
    in_a_thread(run_and_close)
    run()
    mine = seen[-1]
    assert len(seen) == 6
    assert seen[::2] == seen[1::2]
    assert len(set(seen)) == 3
    assert connections["default"] == mine


def test_no_connection_is_kept(committed_token: KnownToken) -> None:
    query._lookup.cache_clear()
    query._update_sql.cache_clear()
    references = []

    def run() -> None:
        query.get_by_digest(Token, committed_token.digest, using="default")
        query.update_last_used(Token, committed_token.pk, MOMENT, using="default")
        references.append(weakref.ref(connections["default"]))
        close(connections["default"])

    in_a_thread(run)
    gc.collect()
    assert references[0]() is None
    # And what was compiled with it works without it.
    assert query.get_by_digest(Token, committed_token.digest, using="default") == committed_token


def test_a_converter_of_a_field_stays_as_it_is() -> None:
    def convert(value: Any, column: Any, connection: BaseDatabaseWrapper) -> Any:
        return value

    assert query.unbound(convert, connection) is convert
    assert convert(1, None, connection) == 1


def test_a_converter_of_a_connection_is_freed_from_it() -> None:
    bound = connection.ops.convert_durationfield_value
    free = query.unbound(bound, connection)
    assert free is not bound
    assert free(1_000_000, None, connection) == timedelta(seconds=1)


def test_the_value_of_a_field_is_converted(
    token: KnownToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    def from_db_value(self: Any, value: str, column: Any, connection: BaseDatabaseWrapper) -> str:
        return value.upper()

    monkeypatch.setattr(NameField, "from_db_value", from_db_value, raising=False)
    query._lookup.cache_clear()
    try:
        assert Token.objects.verify(token.secret).name == "LAPTOP"
    finally:
        query._lookup.cache_clear()
