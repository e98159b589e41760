from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from access_tokens.limits import end_of_day, latest_expiration
from access_tokens.models import Token

from .factories import TokenFactory, UserFactory

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db

at_now = time_machine.travel(NOW, tick=False)


@pytest.mark.parametrize(
    ("zone", "days", "expected"),
    [
        ("UTC", 7, datetime(2026, 3, 8, 23, 59, 59, 999999, tzinfo=UTC)),
        ("UTC", 0, datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC)),
        ("Pacific/Auckland", 7, datetime(2026, 3, 9, 10, 59, 59, 999999, tzinfo=UTC)),
        # The clocks go forward on the 29th: the day ends an hour earlier in UTC.
        ("Europe/Berlin", 30, datetime(2026, 3, 31, 21, 59, 59, 999999, tzinfo=UTC)),
        ("Europe/Berlin", 7, datetime(2026, 3, 8, 22, 59, 59, 999999, tzinfo=UTC)),
    ],
)
@at_now
def test_day_ends_in_the_current_time_zone(zone: str, days: int, expected: datetime) -> None:
    with timezone.override(zone):
        assert end_of_day(days) == expected


# MAX_EXPIRY_DAYS


@at_now
@pytest.mark.parametrize("expires_at", [None, NOW + 32 * DAY])
def test_expiration_must_be_within_the_limit(
    user: User, settings: Settings, expires_at: datetime | None
) -> None:
    token = TokenFactory.create(user=user)
    settings.ACCESS_TOKENS = {"MAX_EXPIRY_DAYS": 30}

    for call in (
        lambda: Token.objects.create_token(user=user, name="x", expires_at=expires_at),
        lambda: Token.objects.rotate(token, expires_at=expires_at),
    ):
        with pytest.raises(ValidationError) as error:
            call()
        assert error.value.message_dict == {"expires_at": ["The token must expire within 30 days."]}
    assert Token.objects.count() == 1


@at_now
def test_any_expiration_is_allowed_without_a_limit(user: User) -> None:
    assert latest_expiration() is None
    for expires_at in (None, NOW + 36_500 * DAY):
        Token.objects.create_token(user=user, name=str(expires_at), expires_at=expires_at)


@at_now
@pytest.mark.parametrize("expires_at", [NOW + 36_501 * DAY, datetime.max.replace(tzinfo=UTC)])
def test_expiration_is_not_near_the_end_of_the_calendar(user: User, expires_at: datetime) -> None:
    with pytest.raises(ValidationError, match="must expire within 36500 days"):
        Token.objects.create_token(user=user, name="x", expires_at=expires_at)


@at_now
@pytest.mark.parametrize("lifetime", [None, 90 * DAY])
def test_rotation_keeps_the_lifetime_within_the_limit(
    user: User, settings: Settings, lifetime: timedelta | None
) -> None:
    token = TokenFactory.create(user=user, expires_at=lifetime and NOW + lifetime)
    settings.ACCESS_TOKENS = {"MAX_EXPIRY_DAYS": 30}

    Token.objects.rotate(token)

    token.refresh_from_db()
    assert token.expires_at == end_of_day(30)


@at_now
def test_limit_leaves_existing_tokens_as_they_are(user: User, settings: Settings) -> None:
    token = TokenFactory.create(user=user)
    settings.ACCESS_TOKENS = {"MAX_EXPIRY_DAYS": 30}

    assert Token.objects.verify(token.secret).expires_at is None


# MAX_TOKENS_PER_USER


def test_user_has_no_more_tokens_than_the_site_allows(user: User, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"MAX_TOKENS_PER_USER": 2}
    first, _second = TokenFactory.create_batch(2, user=user)

    with pytest.raises(ValidationError) as error:
        TokenFactory.create(user=user)
    assert error.value.messages == [
        "You have reached the limit of 2 tokens. Delete one to make room."
    ]
    assert error.value.code == "limit"

    TokenFactory.create(user=UserFactory.create())
    first.delete()
    TokenFactory.create(user=user)


def test_number_of_tokens_is_not_counted_without_a_limit(
    user: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(3):  # SAVEPOINT, INSERT, RELEASE
        TokenFactory.create(user=user)
