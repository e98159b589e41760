from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection, connections
from django.dispatch import Signal
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from access_tokens.crypto import Secret, digest_secret, partial
from access_tokens.exceptions import Reason, TokenRejected
from access_tokens.last_used import record_use
from access_tokens.limits import LONGEST_EXPIRY, end_of_day
from access_tokens.models import Token
from access_tokens.signals import token_rotated

from .factories import KnownToken, TokenFactory
from .test_last_used import break_update

NOW = datetime(2030, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api")]


@pytest.fixture
def clock() -> Any:
    """Stop the clock; a test moves it."""
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def works(secret: str) -> bool:
    """Return whether a request with ``secret`` is answered."""
    return Client().get("/who/", HTTP_AUTHORIZATION=f"Bearer {secret}").status_code == 200


def code_of(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """Return the code of the ``ValidationError`` that a call raises."""
    with pytest.raises(ValidationError) as error:
        call(*args, **kwargs)
    return str(error.value.code)


# What is stored.


def test_rotation_moves_the_old_secret_and_stores_a_new_one(
    clock: Any, token: KnownToken, settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"PREFIX": "acme"}
    before = Token.objects.values().get()

    secret = Token.objects.rotate(token)

    assert isinstance(secret, Secret)
    assert secret.startswith("acme_")
    assert Token.objects.values().get() == before | {
        "digest": digest_secret(secret),
        "partial": partial(secret),
        "rotated_at": NOW,
        "previous_digest": digest_secret(token.secret),
        "previous_partial": partial(token.secret),
    }
    assert token.partial == partial(secret)


def test_rotation_is_one_update(
    token: KnownToken, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2) as queries:
        Token.objects.rotate(token)

    statements = [query["sql"].split()[0] for query in queries.captured_queries]
    assert statements == ["SELECT", "UPDATE"]


@pytest.mark.parametrize("lifetime", [None, HOUR, 90 * DAY])
def test_rotated_token_lives_as_long_as_it_was_made_for(
    clock: Any, user: User, lifetime: timedelta | None
) -> None:
    expires_at = None if lifetime is None else NOW + lifetime
    token = TokenFactory.create(user=user, expires_at=expires_at)
    for _ in range(2):
        clock.shift(HOUR / 2)
        Token.objects.rotate(token)

    token.refresh_from_db()
    assert token.expires_at == (None if lifetime is None else NOW + HOUR + lifetime)


@pytest.mark.parametrize("time_zone", ["UTC", "Asia/Tokyo"])
def test_lifetime_that_reaches_the_end_of_the_calendar_is_cut(
    clock: Any, token: KnownToken, time_zone: str
) -> None:
    Token.objects.update(expires_at=datetime.max.replace(tzinfo=UTC))

    with timezone.override(time_zone):
        Token.objects.rotate(token)
        assert token.expires_at == end_of_day(LONGEST_EXPIRY)


@pytest.mark.parametrize("hour", [0, 23])
def test_token_that_expires_with_a_day_still_does(clock: Any, user: User, hour: int) -> None:
    token = TokenFactory.create(user=user, expires_at=end_of_day(90))
    clock.move_to(NOW.replace(hour=hour) + DAY)
    Token.objects.rotate(token)

    token.refresh_from_db()
    assert token.expires_at == end_of_day(90)


def test_rotation_takes_another_expiration(clock: Any, token: KnownToken) -> None:
    Token.objects.rotate(token, expires_at=NOW + DAY)

    token.refresh_from_db()
    assert token.expires_at == NOW + DAY


def test_rotated_token_is_announced_once_without_a_secret(
    token: KnownToken,
    listen: Callable[[Signal], list[dict[str, Any]]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "access_tokens")
    received = listen(token_rotated)

    Token.objects.rotate(token)

    assert received == [{"sender": Token, "token": token}]
    assert caplog.messages[-1] == f"Token {token.pk} of user {token.user_id} was rotated."


# How long the old secret works.


def test_old_secret_works_until_a_day_after_the_first_use_of_the_new_one(
    clock: Any, token: KnownToken
) -> None:
    new = Token.objects.rotate(token)
    clock.shift(30 * DAY)  # nobody used the new one, so nothing ended
    assert works(token.secret)

    assert works(new)
    clock.shift(DAY - timedelta(seconds=1))
    assert works(token.secret)
    assert works(new)  # not the first use, so the end stays

    clock.shift(timedelta(seconds=1))
    assert not works(token.secret)
    assert works(new)


def test_ended_secret_is_refused_like_an_unknown_one(clock: Any, token: KnownToken) -> None:
    Token.objects.rotate(token, end_previous_now=True)

    def refusal(secret: str) -> Any:
        response = Client().get("/who/", HTTP_AUTHORIZATION=f"Bearer {secret}")
        return response.status_code, response.headers, response.content

    unknown = TokenFactory.create()
    unknown.delete()
    assert refusal(token.secret) == refusal(unknown.secret)
    with pytest.raises(TokenRejected) as error:
        Token.objects.verify(token.secret)
    assert error.value.reason == Reason.EXPIRED


def test_overlap_is_a_setting(clock: Any, token: KnownToken, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"ROTATION_OVERLAP": HOUR}
    assert works(Token.objects.rotate(token))

    clock.shift(HOUR)
    assert not works(token.secret)


def test_first_use_ends_the_old_secret_without_an_overlap(
    clock: Any, token: KnownToken, settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"ROTATION_OVERLAP": timedelta(0)}
    new = Token.objects.rotate(token)
    assert works(token.secret)

    assert works(new)
    assert not works(token.secret)


def test_old_secret_never_outlives_its_own_expiration(clock: Any, user: User) -> None:
    token = TokenFactory.create(user=user, expires_at=NOW + HOUR)
    new = Token.objects.rotate(token, expires_at=NOW + 90 * DAY)
    assert works(token.secret)

    clock.shift(HOUR)
    assert not works(token.secret)
    assert works(new)


def test_old_secret_ends_with_the_token(clock: Any, token: KnownToken) -> None:
    new = Token.objects.rotate(token, expires_at=NOW + HOUR)

    clock.shift(HOUR)
    assert not works(token.secret)
    assert not works(new)


def test_old_secret_of_an_inactive_user_is_refused(token: KnownToken) -> None:
    Token.objects.rotate(token)
    User.objects.update(is_active=False)

    assert not works(token.secret)


def test_old_secret_can_be_ended_later(clock: Any, token: KnownToken) -> None:
    new = Token.objects.rotate(token)

    assert Token.objects.end_previous(token)
    assert not works(token.secret)
    assert works(new)
    assert not Token.objects.end_previous(token)


def test_there_is_no_old_secret_to_end_before_a_rotation(token: KnownToken) -> None:
    assert not Token.objects.end_previous(token)
    assert works(token.secret)


def test_site_that_switches_rotation_off_ends_old_secrets(
    token: KnownToken, settings: Settings
) -> None:
    new = Token.objects.rotate(token)
    settings.ACCESS_TOKENS = {"ROTATION_OVERLAP": None}

    assert works(new)
    assert not works(token.secret)


def test_related_manager_knows_only_old_secrets_of_its_user(token: KnownToken) -> None:
    Token.objects.rotate(token)

    assert token.user.access_tokens.verify(token.secret) == token
    with pytest.raises(TokenRejected):
        TokenFactory.create().user.access_tokens.verify(token.secret)


# A second rotation.


def test_new_secret_that_was_never_used_is_replaced(clock: Any, token: KnownToken) -> None:
    lost = Token.objects.rotate(token)
    clock.shift(HOUR)
    works(token.secret)
    new = Token.objects.rotate(token)

    assert (works(token.secret), works(lost), works(new)) == (True, False, True)


def test_new_secret_that_was_used_becomes_the_old_one(clock: Any, token: KnownToken) -> None:
    second = Token.objects.rotate(token)
    assert works(second)
    third = Token.objects.rotate(token)

    assert (works(token.secret), works(second), works(third)) == (False, True, True)


def test_first_use_counts_for_its_own_rotation_alone(clock: Any, token: KnownToken) -> None:
    lost = Token.objects.rotate(token)
    read_before = Token.objects.verify(lost)
    clock.shift(HOUR)
    Token.objects.rotate(token)
    record_use(read_before)

    token.refresh_from_db()
    assert token.previous_ends_at is None


# The first use.


@pytest.mark.parametrize("resolution", [None, timedelta(0), timedelta(days=1)])
def test_first_use_is_recorded_whatever_the_resolution(
    clock: Any, token: KnownToken, settings: Settings, resolution: timedelta | None
) -> None:
    settings.ACCESS_TOKENS = {"LAST_USED_RESOLUTION": resolution}
    works(token.secret)
    new = Token.objects.rotate(token)

    assert works(new)
    token.refresh_from_db()
    assert token.previous_ends_at == NOW + DAY


def test_use_of_the_old_secret_shows_in_last_used_and_ends_nothing(
    clock: Any, token: KnownToken
) -> None:
    Token.objects.rotate(token)
    works(token.secret)

    token.refresh_from_db()
    assert (token.last_used_at, token.previous_ends_at) == (NOW, None)


def test_clock_that_is_behind_does_not_move_the_end(clock: Any, token: KnownToken) -> None:
    new = Token.objects.rotate(token)
    read = Token.objects.verify(new)
    works(new)
    clock.shift(-HOUR)
    record_use(read)

    token.refresh_from_db()
    assert token.previous_ends_at == NOW + DAY


def test_database_that_refuses_the_first_use_fails_no_request(
    clock: Any, token: KnownToken
) -> None:
    new = Token.objects.rotate(token)
    with connection.execute_wrapper(break_update):
        assert works(new)

    clock.shift(30 * DAY)
    assert works(token.secret)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", [200, 500])
def test_first_use_is_kept_when_the_view_fails(
    token: KnownToken, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    new = Token.objects.rotate(token)
    client = Client(raise_request_exception=False)

    response = client.get(f"/status/{status}/", HTTP_AUTHORIZATION=f"Bearer {new}")

    token.refresh_from_db()
    assert response.status_code == status
    assert token.previous_ends_at is not None


def test_secret_costs_one_query_and_an_old_one_two(clock: Any, token: KnownToken) -> None:
    def queries(secret: str) -> int:
        with CaptureQueriesContext(connection) as context:
            works(secret)
        return len(context)

    new = Token.objects.rotate(token)
    works(new)
    assert (queries(new), queries(token.secret)) == (1, 2)


# What can't be rotated.


def test_rotation_is_refused_where_it_is_off(token: KnownToken, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"ROTATION_OVERLAP": None}

    assert code_of(Token.objects.rotate, token) == "rotation_off"


def test_expired_token_is_not_rotated(clock: Any, user: User) -> None:
    token = TokenFactory.create(user=user, expires_at=NOW)

    assert code_of(Token.objects.rotate, token) == "expired"
    assert code_of(Token.objects.rotate, token, expires_at=NOW + DAY) == "expired"


def test_token_of_an_inactive_user_is_not_rotated(token: KnownToken) -> None:
    User.objects.update(is_active=False)

    assert code_of(Token.objects.rotate, token) == "inactive"


def test_deleted_token_is_not_brought_back_by_a_rotation(token: KnownToken) -> None:
    Token.objects.all().delete()

    assert code_of(Token.objects.rotate, token) == "conflict"
    assert not Token.objects.exists()


def test_past_expiration_is_refused(clock: Any, token: KnownToken) -> None:
    with pytest.raises(ValidationError) as error:
        Token.objects.rotate(token, expires_at=NOW)

    assert error.value.error_dict["expires_at"][0].code == "past"
    assert works(token.secret)
