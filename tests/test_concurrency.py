"""What only several connections to one database can show."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import Error, OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from access_tokens.emails import send_expiry_emails
from access_tokens.leaks import revoke_leaked
from access_tokens.models import Token

from .api import call_asgi, call_wsgi, opened_connections
from .clients import bearer
from .factories import KnownToken, TokenFactory, UserFactory
from .smtp import mail_server

pytestmark = [
    pytest.mark.server_database,
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.api"),
    pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer at a time"),
]

Run = Callable[[], Any]
Prepare = Callable[[Callable[[BaseDatabaseWrapper], None]], None]

PATIENCE = 10  # seconds, after which a test that hangs fails


@pytest.fixture(params=[False, True], ids=["autocommit", "atomic requests"])
def atomic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", request.param)
    return bool(request.param)


@pytest.fixture
def set_run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    """Let the view run a function."""
    return lambda run: monkeypatch.setattr("tests.api.run", run)


@pytest.fixture
def server() -> Iterator[ThreadPoolExecutor]:
    """The threads of a server."""
    with ThreadPoolExecutor(50) as executor:
        yield executor


@pytest.fixture
def prepare() -> Iterator[Prepare]:
    """Prepare each connection that is opened from now on, as the requests open theirs."""
    receivers = []

    def connect(prepare: Callable[[BaseDatabaseWrapper], None]) -> None:
        def receive(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
            prepare(connection)

        connection_created.connect(receive, weak=False)
        receivers.append(receive)

    yield connect
    for receive in receivers:
        connection_created.disconnect(receive)


def wrap(wrapper: Callable[..., Any]) -> Callable[[BaseDatabaseWrapper], None]:
    """Prepare connections by a wrapper around their queries."""

    def prepare(connection: BaseDatabaseWrapper) -> None:
        connection.execute_wrappers[:] = [wrapper]

    return prepare


class Gate:
    """A view that waits until a test lets it go on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def run(self) -> None:
        self.entered.set()
        assert self.opened.wait(PATIENCE)

    @contextmanager
    def held(self, executor: ThreadPoolExecutor, token: KnownToken) -> Iterator[Future[int]]:
        """Hold a request inside of its view."""
        request = executor.submit(call_wsgi, "/run/", bearer(token))
        try:
            assert self.entered.wait(PATIENCE)
            yield request
        finally:
            self.opened.set()


@pytest.fixture
def gate(set_run: Callable[[Run], None]) -> Gate:
    gate = Gate()
    set_run(gate.run)
    return gate


def last_use() -> datetime | None:
    return Token.objects.get().last_used_at


def change_resolution(settings: Settings, resolution: timedelta | None) -> None:
    settings.ACCESS_TOKENS = {"LAST_USED_RESOLUTION": resolution}


def query(wrapper: BaseDatabaseWrapper, postgresql: str, mariadb: str) -> Any:
    """Run a statement of the database on a connection; return the first value, if any."""
    with wrapper.cursor() as cursor:
        cursor.execute(postgresql if wrapper.vendor == "postgresql" else mariadb)
        return cursor.fetchone()[0] if cursor.description else None


def read_only(wrapper: BaseDatabaseWrapper) -> None:
    query(wrapper, "SET default_transaction_read_only = on", "SET SESSION TRANSACTION READ ONLY")


def backend(wrapper: BaseDatabaseWrapper) -> Any:
    return query(wrapper, "SELECT pg_backend_pid()", "SELECT CONNECTION_ID()")


@contextmanager
def second_connection() -> Iterator[BaseDatabaseWrapper]:
    wrapper = connection.copy()
    try:
        yield wrapper
    finally:
        wrapper.close()


# No request waits for another.


def test_requests_with_one_token_run_side_by_side(
    atomic: bool,
    token: KnownToken,
    server: ThreadPoolExecutor,
    settings: Settings,
    set_run: Callable[[Run], None],
) -> None:
    change_resolution(settings, timedelta(0))
    barrier = threading.Barrier(16)
    set_run(lambda: barrier.wait(PATIENCE) * 0)  # none goes on before all are there

    requests = [server.submit(call_wsgi, "/run/", bearer(token)) for _ in range(16)]

    assert {request.result() for request in requests} == {200}
    assert last_use()


def test_recording_does_not_slow_down_parallel_requests(
    atomic: bool,
    token: KnownToken,
    server: ThreadPoolExecutor,
    settings: Settings,
    set_run: Callable[[Run], None],
) -> None:
    def measure(resolution: timedelta | None) -> float:
        change_resolution(settings, resolution)
        start = time.monotonic()
        requests = [server.submit(call_wsgi, "/run/", bearer(token)) for _ in range(16)]
        assert {request.result() for request in requests} == {200}
        return time.monotonic() - start

    set_run(lambda: time.sleep(0.5))  # a slow view
    measure(None)
    rounds = [(measure(None), measure(timedelta(0))) for _ in range(3)]

    assert min(on for _, on in rounds) <= 1.2 * min(off for off, _ in rounds)


def test_no_lock_on_the_token_is_held_while_a_view_runs(
    atomic: bool, token: KnownToken, server: ThreadPoolExecutor, gate: Gate
) -> None:
    with gate.held(server, token) as request, transaction.atomic():
        assert Token.objects.select_for_update(nowait=True).get() == token
    assert request.result() == 200


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="pg_locks is PostgreSQL's")
def test_only_a_reader_is_among_the_locks_while_a_view_runs(
    atomic: bool, token: KnownToken, server: ThreadPoolExecutor, gate: Gate
) -> None:
    with gate.held(server, token), connection.cursor() as cursor:
        cursor.execute(
            "SELECT mode FROM pg_locks"
            " WHERE relation = 'access_tokens_token'::regclass AND pid != pg_backend_pid()"
        )
        modes = {mode for (mode,) in cursor}

    assert modes == ({"AccessShareLock"} if atomic else set())


# Nobody waits for a request.


def delete() -> None:
    Token.objects.all().delete()


def deactivate_and_delete() -> None:
    with transaction.atomic():
        User.objects.update(is_active=False)
        Token.objects.all().delete()


@pytest.mark.parametrize("revoke", [delete, deactivate_and_delete])
def test_deleting_does_not_wait_for_requests(
    atomic: bool,
    server: ThreadPoolExecutor,
    set_run: Callable[[Run], None],
    failures: list[Error],
    revoke: Callable[[], None],
) -> None:
    durations = []
    for _ in range(3):  # since a busy machine may be slow once
        gate = Gate()
        set_run(gate.run)
        with gate.held(server, TokenFactory.create()) as request:
            start = time.monotonic()
            revoke()
            durations.append(time.monotonic() - start)
        assert request.result() == 200

    assert min(durations) < 0.1
    assert not Token.objects.exists()
    assert failures == []


def test_deactivation_and_a_request_that_changes_the_user_do_not_deadlock(
    atomic: bool,
    token: KnownToken,
    server: ThreadPoolExecutor,
    set_run: Callable[[Run], None],
) -> None:
    entered, locked = threading.Event(), threading.Event()

    def run() -> None:
        entered.set()
        assert locked.wait(PATIENCE)
        User.objects.update(first_name="Ada")  # waits for the deactivation

    set_run(run)
    request = server.submit(call_wsgi, "/run/", bearer(token))
    assert entered.wait(PATIENCE)
    with transaction.atomic():
        User.objects.update(is_active=False)
        locked.set()
        Token.objects.all().delete()

    assert request.result() == 200
    assert not Token.objects.exists()
    assert list(User.objects.values_list("is_active", "first_name")) == [(False, "Ada")]


# The later time stays, and each is written once.


@pytest.mark.parametrize("seconds", [-1, 1])
def test_later_of_two_times_stays(
    atomic: bool, token: KnownToken, server: ThreadPoolExecutor, gate: Gate, seconds: int
) -> None:
    now = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    other = now + timedelta(seconds=seconds)
    with time_machine.travel(now, tick=False):
        with gate.held(server, token) as request:
            Token.objects.update(last_used_at=other)
        request.result()

    # In autocommit the request wrote first.
    assert last_use() == (max(now, other) if atomic else other)


def test_many_workers_write_a_time_once(
    atomic: bool,
    token: KnownToken,
    server: ThreadPoolExecutor,
    prepare: Prepare,
) -> None:
    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("UPDATE") and context["cursor"].rowcount:
            written.append(str(params[0]))
        return result

    def work() -> int:
        requests = 0
        while time.monotonic() < end:
            assert call_wsgi("/who/", bearer(token)) == 200
            requests += 1
        return requests

    written: list[str] = []
    prepare(wrap(count))
    start = time.time()
    end = time.monotonic() + 2
    requests = sum(worker.result() for worker in [server.submit(work) for _ in range(50)])

    assert requests > 50
    assert written
    assert set(Counter(written).values()) == {1}
    assert len(written) <= time.time() - start + 2


# The write fails.


@pytest.fixture
def view_backends(set_run: Callable[[Run], None]) -> list[Any]:
    """The backends to which a view, which queries, was connected."""
    backends: list[Any] = []

    def run() -> int:
        backends.append(backend(connections["default"]))
        return Token.objects.count()

    set_run(run)
    return backends


def check_failure(failures: list[Error], caplog: pytest.LogCaptureFixture) -> None:
    (record,) = [record for record in caplog.records if record.name == "access_tokens"]
    assert record.levelname == "WARNING"
    assert len(failures) == 1
    assert last_use() is None


@pytest.mark.usefixtures("view_backends")
def test_read_only_database_does_not_fail_the_request(
    atomic: bool,
    token: KnownToken,
    server: ThreadPoolExecutor,
    prepare: Prepare,
    failures: list[Error],
    caplog: pytest.LogCaptureFixture,
) -> None:
    prepare(read_only)
    caplog.clear()

    assert server.submit(call_wsgi, "/run/", bearer(token)).result() == 200
    check_failure(failures, caplog)


def test_lock_timeout_fails_neither_the_request_nor_its_connection(
    atomic: bool,
    token: KnownToken,
    server: ThreadPoolExecutor,
    view_backends: list[Any],
    prepare: Prepare,
    failures: list[Error],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def impatient(connection: BaseDatabaseWrapper) -> None:
        query(connection, "SET lock_timeout = '50ms'", "SET innodb_lock_wait_timeout = 0")
        backends.append(backend(connection))

    backends: list[Any] = []
    prepare(impatient)
    caplog.clear()
    with transaction.atomic():
        Token.objects.select_for_update().get()
        assert server.submit(call_wsgi, "/run/", bearer(token)).result() == 200

    check_failure(failures, caplog)
    # Whatever a site has set up on its connection is still there.
    assert backends == view_backends


def test_connection_killed_before_the_write_does_not_fail_the_request(
    atomic: bool,
    token: KnownToken,
    server: ThreadPoolExecutor,
    view_backends: list[Any],
    prepare: Prepare,
    failures: list[Error],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def kill(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("UPDATE"):
            pid = int(backend(context["connection"]))
            with second_connection() as other:
                query(other, f"SELECT pg_terminate_backend({pid}, 5000)", f"KILL {pid}")
        return execute(sql, params, many, context)

    prepare(wrap(kill))
    caplog.clear()

    assert server.submit(call_wsgi, "/run/", bearer(token)).result() == 200
    check_failure(failures, caplog)
    assert len(view_backends) == 1


def test_server_that_is_gone_in_the_end_does_not_fail_the_request(
    atomic: bool,
    token: KnownToken,
    server: ThreadPoolExecutor,
    set_run: Callable[[Run], None],
    failures: list[Error],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run() -> None:
        connections["default"].close()
        monkeypatch.setitem(connections.settings["default"], "PORT", "1")

    set_run(run)

    assert server.submit(call_wsgi, "/run/", bearer(token)).result() == 200
    assert len(failures) == (1 if atomic else 0)  # in autocommit it was written before


# Names.


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_name_that_another_transaction_took_meanwhile_is_called_taken(
    server: ThreadPoolExecutor, level: str
) -> None:
    user = UserFactory.create()
    isolation = f"SET TRANSACTION ISOLATION LEVEL {level}"
    query(connection, "SELECT 1", isolation)  # of the next transaction
    with transaction.atomic():
        query(connection, isolation, "SELECT 1")
        assert not Token.objects.exists()  # REPEATABLE READ shows this state from now on
        server.submit(create_and_close, user).result()
        with pytest.raises(ValidationError, match="already have a token"):
            Token.objects.create_token(user=user, name="laptop")

    assert Token.objects.count() == 1


def create_and_close(user: User) -> None:
    TokenFactory.create(user=user, name="laptop")
    connections.close_all()


def test_parallel_transactions_that_want_one_name_do_not_deadlock(
    server: ThreadPoolExecutor,
) -> None:
    user = UserFactory.create()
    barrier = threading.Barrier(6)

    def create() -> type[object]:
        barrier.wait(PATIENCE)
        try:
            with transaction.atomic():
                return type(Token.objects.create_token(user=user, name="laptop"))
        except ValidationError as error:
            return type(error)
        finally:
            connections.close_all()

    outcomes = [future.result() for future in [server.submit(create) for _ in range(6)]]

    assert sorted(outcomes, key=str) == [ValidationError] * 5 + [tuple]


# Rotation and limits.


def side_by_side(server: ThreadPoolExecutor, count: int, call: Callable[[], Any]) -> list[Any]:
    """Call a function in many threads at once; return what each returns or refuses."""
    barrier = threading.Barrier(count)

    def run() -> Any:
        connections["default"].ensure_connection()
        barrier.wait(PATIENCE)
        try:
            return call()
        except ValidationError as error:
            return error
        finally:
            connections.close_all()

    return [future.result() for future in [server.submit(run) for _ in range(count)]]


def works(server: ThreadPoolExecutor, secret: str) -> bool:
    return server.submit(call_wsgi, "/who/", f"Bearer {secret}").result() == 200


def is_rotation(sql: str) -> bool:
    return sql.startswith("UPDATE") and "rotated_at" in sql.partition(" WHERE ")[0]


@pytest.fixture
def rotations_meet(prepare: Prepare) -> None:
    """Let two rotations read before one of them writes."""
    both_have_read = threading.Barrier(2)

    def meet(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if is_rotation(sql):
            both_have_read.wait(PATIENCE)
        return execute(sql, params, many, context)

    prepare(wrap(meet))


def test_of_two_rotations_at_once_one_shows_a_secret(
    token: KnownToken, server: ThreadPoolExecutor, rotations_meet: None
) -> None:
    results = side_by_side(server, 2, lambda: Token.objects.rotate(Token.objects.get()))

    (secret,) = [result for result in results if isinstance(result, str)]
    (error,) = [result for result in results if isinstance(result, ValidationError)]
    assert error.code == "conflict"
    assert works(server, secret)
    assert works(server, token.secret)


def test_rotation_brings_no_deleted_token_back(
    token: KnownToken, server: ThreadPoolExecutor, prepare: Prepare
) -> None:
    def delete_first(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if is_rotation(sql):
            delete = "DELETE FROM access_tokens_token"
            with second_connection() as other:
                query(other, delete, delete)
        return execute(sql, params, many, context)

    prepare(wrap(delete_first))
    (error,) = side_by_side(server, 1, lambda: Token.objects.rotate(Token.objects.get()))

    assert error.code == "conflict"
    assert not Token.objects.exists()


def test_first_use_by_many_workers_sets_one_end(
    atomic: bool, token: KnownToken, server: ThreadPoolExecutor, prepare: Prepare
) -> None:
    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("UPDATE") and "previous_ends_at" in sql.partition(" WHERE ")[0]:
            ends.append(context["cursor"].rowcount)
        return result

    ends: list[int] = []
    secret = Token.objects.rotate(token)
    prepare(wrap(count))

    requests = [server.submit(call_wsgi, "/who/", f"Bearer {secret}") for _ in range(16)]
    assert {request.result() for request in requests} == {200}
    assert sum(ends) == 1
    assert Token.objects.get().previous_ends_at


def test_read_only_database_at_the_first_use_leaves_the_old_secret_alive(
    atomic: bool, token: KnownToken, server: ThreadPoolExecutor, prepare: Prepare
) -> None:
    secret = Token.objects.rotate(token)
    prepare(read_only)
    assert works(server, secret)

    assert Token.objects.get().previous_ends_at is None
    assert works(server, token.secret)


def api(user: User, path: str, body: dict[str, Any] | None = None) -> Callable[[], Any]:
    """Return a function that sends a POST to the REST API, logged in as ``user``."""
    client = Client()
    client.force_login(user)

    def call() -> Any:
        response = client.post(f"/tokens/{path}", body or {}, content_type="application/json")
        return response.status_code, response.json()

    return call


def test_of_two_rotations_by_the_api_one_shows_a_secret(
    atomic: bool, token: KnownToken, server: ThreadPoolExecutor, rotations_meet: None
) -> None:
    rotate = api(token.user, f"{token.pk}/rotate/")
    (status, won), (other, lost) = sorted(side_by_side(server, 2, rotate), key=lambda r: r[0])

    assert (status, other) == (200, 409)
    assert "secret" not in lost
    assert works(server, won["secret"])
    assert works(server, token.secret)


def test_of_many_tokens_with_one_name_the_api_creates_one(
    atomic: bool, server: ThreadPoolExecutor
) -> None:
    results = side_by_side(server, 6, api(UserFactory.create(), "", {"name": "laptop"}))

    assert sorted(status for status, _answer in results) == [201, *[400] * 5]
    assert all(list(answer) == ["name"] for status, answer in results if status == 400)
    assert Token.objects.count() == 1


def test_limit_holds_for_many_creates_by_the_api(
    atomic: bool, server: ThreadPoolExecutor, settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"MAX_TOKENS_PER_USER": 3}
    user = UserFactory.create()
    calls = [api(user, "", {"name": str(number)}) for number in range(8)]

    results = side_by_side(server, 8, lambda: calls.pop()())

    assert sorted(status for status, _answer in results) == [*[201] * 3, *[400] * 5]
    assert Token.objects.count() == 3


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_limit_holds_when_many_create_at_once(
    server: ThreadPoolExecutor, settings: Settings, prepare: Prepare, level: str
) -> None:
    def create() -> Any:
        with transaction.atomic():
            User.objects.get()  # REPEATABLE READ shows this state from now on
            return TokenFactory.create(user=user)

    if connection.vendor == "postgresql" and level == "REPEATABLE READ":
        pytest.skip("PostgreSQL ends all but one of these transactions with an error")
    settings.ACCESS_TOKENS = {"MAX_TOKENS_PER_USER": 3}
    isolation = f"TRANSACTION ISOLATION LEVEL {level}"
    user = UserFactory.create()
    prepare(lambda wrapper: query(wrapper, "SELECT 1", f"SET SESSION {isolation}"))

    results = side_by_side(server, 8, create)

    assert sum(isinstance(result, Token) for result in results) == 3
    assert Token.objects.count() == 3


# Connections.


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(
    "call", [call_wsgi, lambda path, header: call_asgi(path, header.encode())[0]]
)
def test_request_opens_one_connection_and_leaves_none(
    atomic: bool,
    token: KnownToken,
    server: ThreadPoolExecutor,
    call: Callable[[str, str], int],
    status: int,
) -> None:
    with opened_connections() as opened:
        request = server.submit(call, f"/status/{status}/", bearer(token))
        assert request.result() == status

    assert [wrapper.connection for wrapper in opened] == [None]
    assert last_use()


def test_failing_write_leaves_no_connection(
    atomic: bool,
    token: KnownToken,
    server: ThreadPoolExecutor,
    prepare: Prepare,
    failures: list[Error],
) -> None:
    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("UPDATE"):
            sql, params = "UPDATE nowhere SET nothing = 1", None
        return execute(sql, params, many, context)

    prepare(wrap(fail))
    with opened_connections() as opened:
        assert server.submit(call_wsgi, "/who/", bearer(token)).result() == 200

    assert [wrapper.connection for wrapper in opened] == [None]
    assert len(failures) == 1


# Pruning.


def run_and_close(run: Run) -> Any:
    """Run a function as a process of its own does, with its own connection."""
    try:
        return run()
    finally:
        connections.close_all()


def test_token_that_is_about_to_be_pruned_cannot_be_used(server: ThreadPoolExecutor) -> None:
    def use() -> None:
        # A request would wait here, and then find no row to update.
        with transaction.atomic():
            Token.objects.select_for_update(nowait=True).get()

    def use_before_deletion(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("DELETE"):
            errors.append(server.submit(run_and_close, use).exception())
        return execute(sql, *args)

    errors: list[BaseException | None] = []
    TokenFactory.create(expires_at=timezone.now())
    with connection.execute_wrapper(use_before_deletion):
        assert Token.objects.expired().prune() == 1

    assert [type(error) for error in errors] == [OperationalError]


# Emails.


def expiring_tokens(number: int) -> None:
    user = UserFactory.create(email="ada@example.com")
    for _ in range(number):
        TokenFactory.create(user=user, expires_at=timezone.now() + timedelta(days=3))


def test_one_of_two_hosts_sends_the_email(server: ThreadPoolExecutor, settings: Settings) -> None:
    expiring_tokens(2)
    with mail_server(settings) as mails:
        gate = Gate()
        mails.on_message = gate.run
        slow = server.submit(run_and_close, send_expiry_emails)
        try:
            assert gate.entered.wait(PATIENCE)
            assert server.submit(run_and_close, send_expiry_emails).result() == (0, 0)
        finally:
            gate.opened.set()
        assert slow.result() == (1, 0)

    assert len(mails.messages) == 1


def test_many_hosts_at_once_send_a_user_one_email(
    server: ThreadPoolExecutor, settings: Settings
) -> None:
    expiring_tokens(20)
    barrier = threading.Barrier(8)

    def send() -> tuple[int, int]:
        connection.ensure_connection()
        barrier.wait(PATIENCE)
        return send_expiry_emails()

    with mail_server(settings) as mails:
        hosts = [server.submit(run_and_close, send) for _ in range(8)]
        assert sum(host.result()[0] for host in hosts) == 1

    (message,) = mails.messages
    assert all(token.partial in message.get_content() for token in Token.objects.all())


# A token that leaked.


@contextmanager
def rotation_meanwhile(
    statement: str, token: KnownToken, server: ThreadPoolExecutor
) -> Iterator[list[Future[Any]]]:
    """Rotate ``token`` on another connection before a statement, and assert that this waits."""
    rotations: list[Future[Any]] = []

    def rotate() -> Any:
        try:
            return Token.objects.rotate(Token.objects.get(pk=token.pk))
        except ValidationError as error:
            return error
        finally:
            connections.close_all()

    def rotate_and_wait(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(statement):
            rotations.append(server.submit(rotate))
            with pytest.raises(TimeoutError):
                rotations[0].result(timeout=0.5)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(rotate_and_wait):
        yield rotations


def test_rotation_waits_while_a_leaked_token_is_deleted(
    token: KnownToken, server: ThreadPoolExecutor
) -> None:
    with rotation_meanwhile("DELETE", token, server) as rotations:
        leaks = revoke_leaked([token.secret])

    assert (leaks.deleted, leaks.failed) == ([token], [])
    assert rotations[0].result(PATIENCE).code == "conflict"


def test_rotation_waits_while_a_leaked_old_secret_is_ended(
    token: KnownToken, server: ThreadPoolExecutor
) -> None:
    secret = Token.objects.rotate(token)
    assert works(server, secret)
    with rotation_meanwhile("UPDATE", token, server) as rotations:
        leaks = revoke_leaked([token.secret])

    assert (leaks.ended, leaks.failed) == ([token], [])
    assert rotations[0].result(PATIENCE).code == "conflict"
    assert not works(server, token.secret)
    assert works(server, secret)


def test_token_that_is_reported_by_many_at_once_is_deleted_once(
    token: KnownToken, server: ThreadPoolExecutor, prepare: Prepare
) -> None:
    all_know = threading.Barrier(4)

    def meet(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.endswith("FOR UPDATE"):
            all_know.wait(PATIENCE)
        return execute(sql, params, many, context)

    prepare(wrap(meet))
    results = side_by_side(server, 4, lambda: revoke_leaked([token.secret]))

    assert sorted(len(leaks.deleted) for leaks in results) == [0, 0, 0, 1]
    assert not any(leaks.failed for leaks in results)
