"""A site whose processes write to different nodes of a Galera cluster."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from pytest_django import Settings

from access_tokens.models import Token

from ..api import call_wsgi
from ..factories import KnownToken

NODES = list(connections)

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=NODES),
    pytest.mark.urls("tests.api"),
]

DEADLOCK = 1213  # what a write gets that conflicts with one on another node
PATIENCE = 60


class NodeRouter(threading.local):
    """Let each thread use the node that it chooses."""

    alias = NODES[0]

    def db_for_read(self, model: type, **hints: Any) -> str:
        return self.alias

    db_for_write = db_for_read

    def allow_relation(self, *objects: Any, **hints: Any) -> bool:
        return True


@pytest.fixture
def router(settings: Settings) -> NodeRouter:
    router = NodeRouter()
    settings.DATABASE_ROUTERS = [router]
    settings.ACCESS_TOKENS = {"LAST_USED_RESOLUTION": timedelta(0)}
    return router


@pytest.fixture
def session() -> Iterator[Callable[[str], None]]:
    """Return a function that sets variables on each connection that is opened from now on."""
    receivers = []

    def set_variables(variables: str) -> None:
        def receive(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
            query(connection, f"SET {variables}")

        connections.close_all()
        connection_created.connect(receive, weak=False)
        receivers.append(receive)

    yield set_variables
    for receive in receivers:
        connection_created.disconnect(receive)


def query(connection: BaseDatabaseWrapper, sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def call(router: NodeRouter, alias: str, token: KnownToken, path: str = "/who/") -> int:
    router.alias = alias
    return call_wsgi(path, f"Bearer {token.secret}")


def test_conflicts_between_nodes_fail_no_request(
    atomic: bool,
    token: KnownToken,
    router: NodeRouter,
    threads: ThreadPoolExecutor,
    session: Callable[[str], None],
    failures: list[Error],
) -> None:
    def work(alias: str) -> set[int]:
        statuses = set()
        end = time.monotonic() + PATIENCE
        while len(failures) < 3 and time.monotonic() < end:
            statuses.add(call(router, alias, token))
        return statuses

    # By default, a node tries once more.
    session("wsrep_retry_autocommit = 0, wsrep_sync_wait = 1")

    assert set().union(*threads.map(work, NODES * 3)) == {200}

    # Otherwise nothing was tested.
    assert {error.args[0] for error in failures} == {DEADLOCK}
    uses = {Token.objects.using(alias).get().last_used_at for alias in NODES}
    assert len(uses) == 1
    assert None not in uses


def test_use_on_another_node_aborts_no_transaction_of_a_view(
    token: KnownToken,
    router: NodeRouter,
    threads: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run() -> int:
        changed = User.objects.update(first_name="Ada")
        statuses = [threads.submit(call, router, NODES[1], token).result() for _ in range(5)]
        assert statuses == [200] * 5
        return changed + Token.objects.count()

    monkeypatch.setattr("tests.api.run", run)

    assert threads.submit(call, router, NODES[0], token, "/atomic/").result() == 200
    assert User.objects.using(NODES[0]).get().first_name == "Ada"


def test_deleted_token_is_refused_by_a_node_that_waits_for_the_others(
    token: KnownToken,
    router: NodeRouter,
    threads: ThreadPoolExecutor,
    session: Callable[[str], None],
    settings: Settings,
) -> None:
    settings.ACCESS_TOKENS = {"LAST_USED_RESOLUTION": None}
    behind = connections[NODES[1]].copy()
    query(behind, "FLUSH TABLES WITH READ LOCK")
    try:
        Token.objects.using(NODES[0]).all().delete()
        assert threads.submit(call, router, NODES[1], token).result() == 200
        session("wsrep_sync_wait = 1")
        request = threads.submit(call, router, NODES[1], token)
    finally:
        query(behind, "UNLOCK TABLES")
        behind.close()
    assert request.result() == 401
