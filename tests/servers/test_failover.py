"""The primary dies and its standby is promoted. This is one test, since it uses up the servers."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from select import select
from threading import Barrier
from typing import Any

import pytest
from django.db import Error, connections
from django.utils import timezone
from pytest_django import Settings

from access_tokens.models import Token
from access_tokens.verification import compiled_lookup

from ..api import call_wsgi
from ..factories import KnownToken, TokenFactory
from ..routers import ReplicaRouter
from .postgresql import query, wait_for_standby

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "server2"]),
    pytest.mark.urls("tests.api"),
]

WORKERS = 4


@pytest.fixture
def send(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], set[int]]]:
    """Return a function that lets each worker send a request, and returns the statuses."""
    settings.DATABASE_ROUTERS = [ReplicaRouter("server2")]
    # Each worker keeps its connection, and asks whether it works before a request.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", None)
    monkeypatch.setitem(connections.settings["default"], "CONN_HEALTH_CHECKS", True)
    barrier = Barrier(WORKERS)

    def request(secret: str) -> int:
        barrier.wait(10)
        return call_wsgi("/who/", f"Bearer {secret}")

    def close(number: int) -> None:
        barrier.wait(10)
        connections.close_all()

    with ThreadPoolExecutor(WORKERS) as threads:
        yield lambda secret: set(threads.map(request, [secret] * WORKERS))
        list(threads.map(close, range(WORKERS)))


def primary_process() -> int:
    return int(query("default", "SELECT pg_read_file('postmaster.pid')").split()[0])


def test_site_goes_on_after_a_failover(
    token: KnownToken, send: Callable[[str], set[int]], failures: list[Error]
) -> None:
    other = TokenFactory.create(user=token.user)
    assert send(token.secret) == {200}
    wait_for_standby()
    process = primary_process()

    def kill_before_update(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("UPDATE"):
            os.kill(process, signal.SIGQUIT)
            # Readable is the end of the connection.
            assert select([connections["default"].connection.fileno()], [], [], 10)[0]
        return execute(sql, *args)

    # A request whose use can't be recorded any more.
    with connections["default"].execute_wrapper(kill_before_update):
        assert call_wsgi("/who/", f"Bearer {other.secret}") == 200
    assert len(failures) == 1

    # Nothing can tell whether a token is still valid: the request fails as any query of the site.
    assert send(token.secret) == {500}

    assert query("server2", "SELECT pg_promote()")
    begin = timezone.now().replace(microsecond=0)
    assert send(token.secret) == {200}
    assert send(other.secret) == {200}
    assert Token.objects.filter(last_used_at__gte=begin).count() == 2
    assert send(Token.objects.rotate(token)) == {200}
    Token.objects.using("default").all().delete()
    assert send(token.secret) == {401}
    assert len(failures) == 1
    assert compiled_lookup(Token, "digest").is_trusted
