import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished
from django.db import Error, connection, connections, transaction
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient, APIRequestFactory

from access_tokens import last_used
from access_tokens.last_used import floor, record_use, update
from access_tokens.models import Token
from access_tokens.signals import last_used_failed

from .api import RunView, call_asgi, call_live_server
from .factories import KnownToken, TokenFactory
from .processes import run_python
from .routers import ReplicaRouter
from .test_compiled import plan

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api")]

NOW = datetime(2030, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
SECOND = NOW.replace(microsecond=0)
STATUSES = [200, 400, 403, 404, 500]

postgresql_only = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="only PostgreSQL has the choice"
)


@pytest.fixture(autouse=True)
def _nothing_waits_in_the_end() -> Iterator[None]:
    yield
    waiting = last_used.deferred.uses[:]
    last_used.deferred.uses.clear()  # for the other tests
    assert waiting == []


@pytest.fixture
def resolution(settings: Settings) -> Callable[[timedelta | None], None]:
    def change(value: timedelta | None) -> None:
        settings.ACCESS_TOKENS = {"LAST_USED_RESOLUTION": value}

    return change


@pytest.fixture(params=[False, True], ids=["autocommit", "atomic requests"])
def atomic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", request.param)
    return bool(request.param)


@pytest.fixture
def failures() -> Iterator[list[dict[str, Any]]]:
    """What receivers of ``last_used_failed`` get."""
    calls: list[dict[str, Any]] = []

    def receive(**kwargs: Any) -> None:
        calls.append(kwargs)

    last_used_failed.connect(receive)
    yield calls
    last_used_failed.disconnect(receive)


def get(path: str, token: KnownToken) -> int:
    client = Client(raise_request_exception=False)
    return client.get(path, HTTP_AUTHORIZATION=f"Bearer {token.secret}").status_code


def last_use(token: Token) -> datetime | None:
    return Token.objects.values_list("last_used_at", flat=True).get(pk=token.pk)


def updates(context: CaptureQueriesContext) -> int:
    return sum(query["sql"].startswith("UPDATE") for query in context.captured_queries)


# Which time is stored.


@pytest.mark.parametrize(
    ("step", "stored"),
    [
        (timedelta(0), NOW),
        (timedelta(microseconds=1), NOW),
        (timedelta(milliseconds=10), NOW.replace(microsecond=670_000)),
        (timedelta(seconds=1), SECOND),
        (timedelta(seconds=2), SECOND.replace(second=4)),
        (timedelta(minutes=1), SECOND.replace(second=0)),
        (timedelta(minutes=15), SECOND.replace(minute=0, second=0)),
        (timedelta(days=1), SECOND.replace(hour=0, minute=0, second=0)),
    ],
)
def test_use_is_floored_to_the_resolution(
    token: KnownToken,
    resolution: Callable[[timedelta | None], None],
    step: timedelta,
    stored: datetime,
) -> None:
    resolution(step)
    with time_machine.travel(NOW, tick=False):
        get("/who/", token)

    assert last_use(token) == stored


def test_use_is_kept_to_the_second_by_default(token: KnownToken) -> None:
    with time_machine.travel(NOW, tick=False):
        get("/who/", token)

    assert last_use(token) == SECOND


def test_naive_time_is_floored_too() -> None:
    naive = NOW.replace(tzinfo=None)

    assert floor(naive, timedelta(minutes=1)) == datetime(2030, 1, 2, 3, 4)  # noqa: DTZ001


def test_nothing_is_recorded_without_a_resolution(
    token: KnownToken,
    resolution: Callable[[timedelta | None], None],
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    resolution(None)
    with django_assert_num_queries(1):
        get("/who/", token)

    assert last_use(token) is None


def test_use_is_written_once_in_a_second(token: KnownToken) -> None:
    counts = []
    for seconds in (0, 0.3, 1, 1.3):
        with (
            time_machine.travel(NOW + timedelta(seconds=seconds), tick=False),
            CaptureQueriesContext(connection) as context,
        ):
            get("/who/", token)
        counts.append(updates(context))

    assert counts == [1, 0, 1, 0]
    assert last_use(token) == SECOND + timedelta(seconds=1)


def test_every_use_is_written_with_a_resolution_of_zero(
    token: KnownToken, resolution: Callable[[timedelta | None], None]
) -> None:
    resolution(timedelta(0))
    for microseconds in range(3):
        with time_machine.travel(NOW + timedelta(microseconds=microseconds), tick=False):
            get("/who/", token)
        assert last_use(token) == NOW + timedelta(microseconds=microseconds)


def test_refused_token_is_not_used(token: KnownToken) -> None:
    User.objects.update(is_active=False)

    assert get("/who/", token) == 401
    assert last_use(token) is None


def test_use_of_one_token_is_not_that_of_another(token: KnownToken) -> None:
    other = TokenFactory.create(user=token.user)
    get("/who/", token)

    assert last_use(token)
    assert last_use(other) is None


# The statement.


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, NOW),
        (NOW - timedelta(days=1), NOW),
        (NOW - timedelta(microseconds=1), NOW),
        (NOW, NOW),
        (NOW + timedelta(microseconds=1), NOW + timedelta(microseconds=1)),
    ],
    ids=str,
)
def test_later_time_stays(user: User, stored: datetime | None, expected: datetime) -> None:
    token = TokenFactory.create(user=user, last_used_at=stored)

    update(Token, token.pk, NOW, "default")

    assert last_use(token) == expected


def test_only_one_token_is_updated(user: User) -> None:
    one, other = TokenFactory.create_batch(2, user=user)

    update(Token, one.pk, NOW, "default")

    assert (last_use(one), last_use(other)) == (NOW, None)


def test_update_is_one_query_of_one_column_by_the_primary_key(user: User) -> None:
    token = TokenFactory.create_batch(5, user=user)[2]
    with CaptureQueriesContext(connection) as queries:
        update(Token, token.pk, NOW, "default")

    (captured,) = queries.captured_queries
    set_clause = captured["sql"].partition(" SET ")[2].partition(" WHERE ")[0]
    assert set_clause.count("=") == 1
    assert "last_used_at" in set_clause
    indexes = {"sqlite": "(rowid=?)", "postgresql": "access_tokens_token_pkey"}
    assert indexes.get(connection.vendor, "PRIMARY") in plan(captured["sql"])


@pytest.fixture
def commit_modes(transactional_db: None, token: KnownToken) -> Iterator[Callable[[], list[str]]]:
    """Return a function that says how the transaction of an update commits, and one after it."""

    def setting() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            return str(cursor.fetchone()[0])

    def update_and_tell() -> list[str]:
        Token.objects.update(last_used_at=None, partial="")
        update(Token, token.pk, NOW, "default")
        assert last_use(token) == NOW
        return [Token.objects.get().partial, setting()]

    with connection.cursor() as cursor:
        cursor.execute("""
            SET synchronous_commit = 'local';
            CREATE FUNCTION note_commit_mode() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN NEW.partial := current_setting('synchronous_commit'); RETURN NEW; END $$;
            CREATE TRIGGER note_commit_mode BEFORE UPDATE ON access_tokens_token
                FOR EACH ROW EXECUTE FUNCTION note_commit_mode();
            """)
        yield update_and_tell
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


# Clocks that disagree, and rows that change meanwhile.


def test_clock_that_is_behind_writes_nothing(token: KnownToken) -> None:
    ahead = NOW + timedelta(hours=1)
    Token.objects.update(last_used_at=ahead)
    with time_machine.travel(NOW, tick=False), CaptureQueriesContext(connection) as context:
        get("/who/", token)

    assert updates(context) == 0
    assert last_use(token) == ahead


@pytest.mark.parametrize("hours", [-1, 1])
def test_later_time_stays_when_two_write(token: KnownToken, hours: int) -> None:
    read = Token.objects.verify(token.secret)
    other = SECOND + timedelta(hours=hours)
    Token.objects.update(last_used_at=other)
    with time_machine.travel(NOW, tick=False):
        record_use(read)

    assert last_use(token) == max(SECOND, other)


def test_deleted_token_is_not_brought_back(
    token: KnownToken, failures: list[dict[str, Any]]
) -> None:
    read = Token.objects.verify(token.secret)
    Token.objects.all().delete()
    record_use(read)

    assert not Token.objects.exists()
    assert failures == []


def test_view_may_delete_the_token_that_it_was_called_with(
    token: KnownToken,
    atomic: bool,
    failures: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.api.run", lambda: str(Token.objects.all().delete()))

    assert get("/run/", token) == 200
    assert not Token.objects.exists()
    assert failures == []


def test_other_columns_are_not_written(token: KnownToken) -> None:
    read = Token.objects.verify(token.secret)
    Token.objects.update(name="renamed")
    record_use(read)

    assert Token.objects.get().name == "renamed"


# Whatever the view does, and whatever calls it.


def by_client(path: str, header: str, request: pytest.FixtureRequest) -> int | None:
    client = Client(raise_request_exception=False)
    return client.get(path, HTTP_AUTHORIZATION=header).status_code


def by_api_client(path: str, header: str, request: pytest.FixtureRequest) -> int | None:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=header)
    return client.get(path).status_code


def by_async_client(path: str, header: str, request: pytest.FixtureRequest) -> int | None:
    client = AsyncClient(raise_request_exception=False)
    response = async_to_sync(client.get)(path, headers={"authorization": header})
    return int(response.status_code)


def by_asgi(path: str, header: str, request: pytest.FixtureRequest) -> int | None:
    return call_asgi(path, header.encode())[0]


def by_live_server(path: str, header: str, request: pytest.FixtureRequest) -> int | None:
    line = f"Authorization: {header}".encode()
    return call_live_server(request.getfixturevalue("live_server"), path, [line])


Call = Callable[[str, str, pytest.FixtureRequest], int | None]


def check_that_uses_are_recorded(
    call: Call, request: pytest.FixtureRequest, statuses: list[int] = STATUSES
) -> None:
    for status in statuses:
        token = TokenFactory.create()
        assert call(f"/status/{status}/", f"Bearer {token.secret}", request) == status
        assert last_use(token), status


@pytest.mark.parametrize("call", [by_client, by_api_client])
def test_use_is_recorded_whatever_the_status(
    atomic: bool, call: Call, request: pytest.FixtureRequest
) -> None:
    check_that_uses_are_recorded(call, request)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("call", [by_client, by_asgi, by_live_server])
def test_use_is_recorded_whatever_the_status_without_a_transaction_around(
    atomic: bool, call: Call, request: pytest.FixtureRequest
) -> None:
    check_that_uses_are_recorded(call, request)


@pytest.mark.parametrize(
    "transaction_around",
    [True, pytest.param(False, marks=pytest.mark.django_db(transaction=True))],
)
def test_use_is_recorded_by_the_async_client(
    atomic: bool, transaction_around: bool, request: pytest.FixtureRequest
) -> None:
    # It ends requests in another thread, so nothing can wait until then.
    check_that_uses_are_recorded(by_async_client, request, [200] if atomic else STATUSES)


@pytest.mark.parametrize("path", ["/plain/", "/atomic/", "/non-atomic/"])
def test_use_is_recorded_by_any_kind_of_view(atomic: bool, token: KnownToken, path: str) -> None:
    assert get(path, token) == 200
    assert last_use(token)


def test_use_by_a_bare_request_is_recorded_at_once(token: KnownToken) -> None:
    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {token.secret}")

    assert RunView.as_view()(request).status_code == 200
    assert last_use(token)


def test_use_without_a_request_is_recorded_at_once(token: KnownToken) -> None:
    with transaction.atomic():
        Token.objects.authenticate(token.secret)
        assert last_use(token)


def test_use_is_recorded_when_the_stream_has_ended(atomic: bool, token: KnownToken) -> None:
    response = Client().get("/stream/", HTTP_AUTHORIZATION=f"Bearer {token.secret}")
    assert response.streaming

    assert response.getvalue() == b"012"
    assert last_use(token)


@pytest.mark.django_db(transaction=True)
def test_client_that_hangs_up_has_used_its_token(
    atomic: bool, token: KnownToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, left = threading.Event(), threading.Event()

    async def client() -> AsyncIterator[Any]:
        yield {"type": "http.request"}
        await asyncio.to_thread(entered.wait, 10)
        asyncio.get_running_loop().call_later(0.1, left.set)
        yield {"type": "http.disconnect"}

    def run() -> None:
        entered.set()
        assert left.wait(10)

    monkeypatch.setattr("tests.api.run", run)
    call_asgi("/run/", f"Bearer {token.secret}".encode(), client)

    assert entered.is_set()
    assert last_use(token)


# When it is written.


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many uses were written when a view ran."""
    counts: list[int] = []
    monkeypatch.setattr(
        "tests.api.run",
        lambda: counts.append(Token.objects.exclude(last_used_at=None).count()),
    )
    return counts


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("path", "is_atomic_view"), [("/run/", None), ("/atomic/", True), ("/non-atomic/", False)]
)
def test_use_is_written_before_the_view_runs_or_after_its_transaction(
    atomic: bool, token: KnownToken, writes: list[int], path: str, is_atomic_view: bool | None
) -> None:
    in_transaction = atomic if is_atomic_view is None else is_atomic_view

    assert get(path, token) == 200
    assert writes == [0 if in_transaction else 1]
    assert last_use(token)


def test_use_by_a_bare_request_does_not_wait(token: KnownToken, writes: list[int]) -> None:
    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {token.secret}")
    RunView.as_view()(request)

    assert writes == [1]


@pytest.mark.django_db(transaction=True)
def test_end_of_another_request_does_not_write_it(
    token: KnownToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> None:
        other = threading.Thread(target=request_finished.send, kwargs={"sender": WSGIHandler})
        other.start()
        other.join()
        waiting.append(len(last_used.deferred.uses))

    waiting: list[int] = []
    monkeypatch.setattr("tests.api.run", run)
    get("/atomic/", token)

    assert waiting == [1]
    assert last_use(token)


@pytest.fixture
def open_response(token: KnownToken) -> Iterator[Callable[..., int]]:
    """Return a function that sends a request and leaves the response unread and open."""
    responses: list[Any] = []

    def send(path: str, header: str = f"Bearer {token.secret}") -> int:
        environ = RequestFactory().get(path, HTTP_AUTHORIZATION=header).environ
        statuses: list[str] = []

        def start_response(status: str, *args: Any) -> Callable[[bytes], object]:
            statuses.append(status)
            return bytes

        responses.append(WSGIHandler()(environ, start_response))
        return int(statuses[0].split()[0])

    yield send
    for response in responses:
        response.close()


@pytest.mark.django_db(transaction=True)
def test_slow_reader_does_not_hide_a_use(
    atomic: bool, token: KnownToken, open_response: Callable[..., int]
) -> None:
    assert open_response("/stream/") == 200
    assert last_use(token)


@pytest.mark.django_db(transaction=True)
def test_use_of_a_request_that_the_server_never_ends_is_recorded_by_the_next(
    atomic: bool, token: KnownToken, open_response: Callable[..., int]
) -> None:
    assert open_response("/status/500/") == 500
    assert open_response("/open/", "") == 200

    assert last_use(token)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("outer", ["/run/", "/open/run/"], ids=["token", "no token"])
def test_use_by_a_request_within_a_request_is_not_lost_with_its_transaction(
    atomic: bool, token: KnownToken, monkeypatch: pytest.MonkeyPatch, outer: str
) -> None:
    def run() -> None:
        assert get("/who/", inner) == 200
        raise RuntimeError

    inner = TokenFactory.create()
    monkeypatch.setattr("tests.api.run", run)

    assert get(outer, token) == 500
    assert last_use(inner)
    assert bool(last_use(token)) is (outer == "/run/")


FIRST_REQUEST = """
import django
django.setup()

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections

from access_tokens.models import Token
from tests.api import call_wsgi, opened_connections

call_command("migrate", verbosity=0)
token, secret = Token.objects.create_token(user=User.objects.create(username="ada"), name="x")
connections.close_all()
settings.ALLOWED_HOSTS = ["testserver"]
connections.settings["default"]["ATOMIC_REQUESTS"] = True
with opened_connections() as opened:
    assert call_wsgi("/api/me/", f"Bearer {secret}") == 200
assert [wrapper.connection for wrapper in opened] == [None], opened
assert Token.objects.get().last_used_at
connections.close_all()
"""


def test_first_request_of_a_process_opens_one_connection_and_leaves_none(tmp_path: Path) -> None:
    # In this process, test clients have changed the order of the receivers of request_finished.
    run_python(
        "-c",
        FIRST_REQUEST,
        DJANGO_SETTINGS_MODULE="example_project.settings",
        DATABASE_URL=f"sqlite:///{tmp_path / 'db.sqlite3'}",
    )


# The database refuses.


def break_update(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """Let the real database refuse the update of tokens."""
    if sql.startswith("UPDATE") and "access_tokens_token" in sql:
        sql, params = "UPDATE nowhere SET nothing = 1", None
    return execute(sql, params, many, context)


@pytest.fixture
def view_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the views use the database."""
    monkeypatch.setattr("tests.api.run", lambda: User.objects.count())


def check_failure(
    token: KnownToken, failures: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    (failure,) = failures
    (record,) = [record for record in caplog.records if record.name == "access_tokens"]
    assert failure["sender"] is Token
    assert failure["token"] == token
    assert isinstance(failure["error"], Error)
    assert record.levelno == logging.WARNING
    assert f"token {token.pk} of user {token.user_id} was not recorded" in record.getMessage()
    assert last_use(token) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/run/", "/atomic/"])
@pytest.mark.usefixtures("view_queries")
def test_failing_write_does_not_fail_the_request(
    token: KnownToken,
    atomic: bool,
    failures: list[dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
    path: str,
) -> None:
    caplog.clear()
    with connection.execute_wrapper(break_update):
        assert get(path, token) == 200

    check_failure(token, failures, caplog)


@pytest.mark.usefixtures("view_queries")
def test_failing_write_leaves_the_transaction_of_the_caller_usable(
    token: KnownToken, failures: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {token.secret}")
    with connection.execute_wrapper(break_update), transaction.atomic():
        assert RunView.as_view()(request).data == 1

    check_failure(token, failures, caplog)


@pytest.fixture
def no_autocommit(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the site end its transactions itself."""
    monkeypatch.setitem(connection.settings_dict, "AUTOCOMMIT", False)
    connection.set_autocommit(False)
    yield
    connection.rollback()
    connection.set_autocommit(True)


def test_failing_write_keeps_the_work_of_a_site_without_autocommit(
    token: KnownToken,
    no_autocommit: None,
    failures: list[dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.clear()
    User.objects.update(first_name="Ada")
    with connection.execute_wrapper(break_update):
        assert get("/who/", token) == 200
    connection.commit()

    check_failure(token, failures, caplog)
    assert User.objects.get().first_name == "Ada"


@pytest.mark.parametrize("path", ["/who/", "/atomic/"])
def test_use_belongs_to_the_transaction_of_a_site_without_autocommit(
    token: KnownToken, no_autocommit: None, path: str
) -> None:
    connection.commit()
    assert get(path, token) == 200
    connection.commit()
    assert last_use(token)
    connection.rollback()
    assert last_use(token)
    with CaptureQueriesContext(connection) as after:
        request_finished.send(WSGIHandler)
    assert updates(after) == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_usable", [True, False])
def test_connection_is_closed_only_if_the_write_broke_it(
    token: KnownToken, monkeypatch: pytest.MonkeyPatch, is_usable: bool
) -> None:
    closed: list[str] = []
    wrapper = connections["default"]
    # No connection to SQLite breaks; for a real one see test_concurrency.py.
    monkeypatch.setattr(wrapper, "is_usable", lambda: is_usable)
    monkeypatch.setattr(wrapper, "close", lambda: closed.append(wrapper.alias))
    with connection.execute_wrapper(break_update):
        get("/who/", token)

    assert closed == ([] if is_usable else ["default"])


def test_failing_receiver_does_not_fail_the_request(token: KnownToken) -> None:
    def receive(**kwargs: Any) -> None:
        raise RuntimeError

    last_used_failed.connect(receive)
    try:
        with connection.execute_wrapper(break_update):
            assert get("/who/", token) == 200
    finally:
        last_used_failed.disconnect(receive)


def test_other_errors_are_not_hidden(token: KnownToken) -> None:
    def break_program(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("UPDATE"):
            raise RuntimeError
        return execute(sql, *args)

    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {token.secret}")
    with connection.execute_wrapper(break_program), pytest.raises(RuntimeError):
        RunView.as_view()(request)


# Several databases.


@pytest.fixture
def replica(token: KnownToken, settings: Settings, tmp_path: Path) -> Iterator[None]:
    """A database to read from, that has got the token and will get nothing more."""
    connections.settings["replica"] = {
        **connections.settings["default"],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": tmp_path / "replica.sqlite3",
        "OPTIONS": {},
    }
    # Not by way of what keeps tests away from other databases.
    connections["replica"].connect()
    with connections["replica"].schema_editor() as editor:
        editor.create_model(User)
        editor.create_model(Token)
    User.objects.using("replica").bulk_create([token.user])
    Token.objects.using("replica").bulk_create([token])
    settings.DATABASE_ROUTERS = [ReplicaRouter("replica")]
    yield
    connections["replica"].close()
    del connections["replica"], connections.settings["replica"]


def primary() -> Any:
    return Token.objects.using("default")


@pytest.mark.usefixtures("replica")
def test_changes_count_before_a_lagging_replica_has_them(
    atomic: bool, token: KnownToken, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    assert get("/who/", token) == 200

    User.objects.using("default").update(is_active=False)
    assert get("/who/", token) == 401

    User.objects.using("default").update(is_active=True)
    assert get("/who/", token) == 200

    primary().all().delete()
    assert get("/who/", token) == 401


@pytest.mark.usefixtures("replica")
@pytest.mark.parametrize("path", ["/who/", "/plain/"])
def test_use_is_written_where_writes_go(atomic: bool, token: KnownToken, path: str) -> None:
    assert get(path, token) == 200
    assert primary().get().last_used_at
    assert Token.objects.using("replica").get().last_used_at is None


@pytest.mark.sqlite
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="only SQLite locks the whole")
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("view_queries")
def test_locked_database_does_not_fail_the_request(
    token: KnownToken,
    atomic: bool,
    failures: list[dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def lock(execute: Any, sql: str, *args: Any) -> Any:
        if not sql.startswith("UPDATE"):
            return execute(sql, *args)
        other = sqlite3.connect(connection.settings_dict["NAME"], uri=True)
        other.execute("BEGIN IMMEDIATE")
        try:
            return execute(sql, *args)
        finally:
            other.close()

    caplog.clear()
    with connection.execute_wrapper(lock):
        assert get("/run/", token) == 200

    assert "locked" in str(failures[0]["error"])
    check_failure(token, failures, caplog)
