"""A site that writes to a primary and reads from its standby."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import Error
from django.utils import timezone
from pytest_django import Settings

from access_tokens.models import Token

from ..api import call_wsgi
from ..factories import KnownToken, TokenFactory
from ..routers import ReplicaRouter
from .postgresql import query, wait_for_standby

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "server2"]),
    pytest.mark.urls("tests.api"),
]


@pytest.fixture(autouse=True)
def _router(settings: Settings) -> None:
    settings.DATABASE_ROUTERS = [ReplicaRouter("server2")]


@pytest.fixture
def status(threads: ThreadPoolExecutor) -> Callable[[str], int]:
    """Return a function that returns what a request with a secret is answered."""
    return lambda secret: threads.submit(call_wsgi, "/run/", f"Bearer {secret}").result()


@pytest.fixture
def lag(token: KnownToken, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the standby have the token and nothing that comes later. The view reads from it."""
    monkeypatch.setattr("tests.api.run", lambda: Token.objects.count())
    wait_for_standby()
    query("server2", "SELECT pg_wal_replay_pause()")
    while query("server2", "SELECT pg_get_wal_replay_pause_state()") != "paused":
        pass
    yield
    query("server2", "SELECT pg_wal_replay_resume()")
    wait_for_standby()


def on_primary() -> Any:
    return Token.objects.using("default")


def on_standby() -> Any:
    return Token.objects.using("server2")


@pytest.mark.usefixtures("lag")
@pytest.mark.parametrize(
    "change",
    [
        lambda: on_primary().all().delete(),
        lambda: on_primary().update(expires_at=timezone.now()),
        lambda: User.objects.using("default").update(is_active=False),
        lambda: User.objects.using("default").all().delete(),
    ],
    ids=["deleted token", "expired token", "inactive user", "deleted user"],
)
def test_refusal_does_not_wait_for_the_standby(
    atomic: bool, token: KnownToken, status: Callable[[str], int], change: Callable[[], object]
) -> None:
    assert status(token.secret) == 200
    change()

    stale = on_standby().select_related("user").get()
    assert stale.user.is_active
    assert not stale.is_expired
    assert status(token.secret) == 401


@pytest.mark.usefixtures("lag")
def test_new_secrets_do_not_wait_for_the_standby(
    atomic: bool, token: KnownToken, status: Callable[[str], int]
) -> None:
    rotated = Token.objects.rotate(token)
    created = TokenFactory.create(user=token.user)

    assert [status(secret) for secret in (rotated, created.secret)] == [200, 200]
    # The use of the new secret is known, so the old one ends.
    assert on_primary().get(pk=token.pk).previous_ends_at > timezone.now()
    assert on_standby().get().rotated_at is None


@pytest.mark.usefixtures("lag")
def test_use_is_recorded_on_the_primary(
    atomic: bool, token: KnownToken, status: Callable[[str], int], failures: list[Error]
) -> None:
    assert status(token.secret) == 200

    assert timezone.now() - on_primary().get().last_used_at < timedelta(minutes=1)
    assert on_standby().get().last_used_at is None
    assert failures == []


@pytest.mark.usefixtures("lag")
def test_primary_that_became_a_standby_fails_no_request(
    atomic: bool,
    token: KnownToken,
    status: Callable[[str], int],
    failures: list[Error],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As after a switchover of the servers, before the site knows the new primary.
    monkeypatch.setattr(ReplicaRouter, "db_for_write", ReplicaRouter.db_for_read)

    assert status(token.secret) == 200
    assert "read-only transaction" in str(*failures)
