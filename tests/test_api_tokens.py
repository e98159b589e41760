"""The REST API of tokens: what users do with a session, and what a token may do."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from http import HTTPMethod
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework import exceptions, views

from access_tokens.limits import LONGEST_EXPIRY, end_of_day
from access_tokens.models import Token
from access_tokens.signals import token_created, token_deleted, token_rotated

from .clients import client_of
from .factories import KnownToken, TokenFactory, UserFactory

API = "/api/tokens/"
SELF = f"{API}self/"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SCOPES = {"read": "Read", "write": "Write", "reports": "Run reports"}
FIELDS = [
    "id", "name", "partial", "scopes", "created_at", "last_used_at", "expires_at", "state",
    "rotated_at", "previous_partial", "previous_ends_at",
]  # fmt: skip

at_now = time_machine.travel(NOW, tick=False)


@pytest.fixture
def codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let errors answer with their codes, as a site's own exception handler can."""

    def handle(exc: Exception, context: Any) -> Any:
        response = views.exception_handler(exc, context)
        if response is not None and isinstance(exc, exceptions.APIException):
            response.data = exc.get_codes()
        return response

    monkeypatch.setattr(views.APIView, "get_exception_handler", lambda view: handle)


def url(token: Token, action: str = "") -> str:
    return f"{API}{token.pk}/{action}"


def send(client: Client, method: str, path: str, body: Any = None) -> Any:
    return client.generic(method, path, client._encode_json(body, JSON), content_type=JSON)  # type: ignore[attr-defined]  # not in the stubs


JSON = "application/json"


def post(client: Client, path: str, body: Any = None) -> Any:
    return client.post(path, body if body is not None else {}, content_type=JSON)


def patch(client: Client, path: str, body: Any) -> Any:
    return client.patch(path, body, content_type=JSON)


def names(response: Any) -> list[str]:
    return [token["name"] for token in response.json()["results"]]


# Creating.


@at_now
def test_answer_to_create_has_the_secret_and_all_fields(session: Client, user: User) -> None:
    response = post(session, API, {"name": "CI"})

    assert response.status_code == 201
    assert "no-store" in response.headers["Cache-Control"]
    answer = response.json()
    assert list(answer) == [*FIELDS, "secret"]
    token = Token.objects.verify(answer["secret"])
    assert (token.pk, token.user, token.name) == (answer["id"], user, "CI")
    assert answer["partial"] == token.partial
    assert answer["state"] == "active"
    assert answer["expires_at"] == "2027-02-22T23:59:59.999999Z"  # in EXPIRY_DEFAULT_DAYS
    assert (answer["scopes"], answer["last_used_at"], answer["rotated_at"]) == (None, None, None)


@at_now
@pytest.mark.parametrize(
    ("given", "expires_at"),
    [
        ({}, end_of_day(90)),
        ({"expires_in_days": 3}, NOW.replace(hour=23, minute=59, second=59, microsecond=999999) + 3 * DAY),
        ({"expires_in_days": None}, None),
        ({"expires_at": None}, None),
        ({"expires_at": "2026-12-01T10:00:00+02:00"}, datetime(2026, 12, 1, 8, 0, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_token_expires_as_given(
    session: Client, given: dict[str, Any], expires_at: datetime | None
) -> None:
    assert post(session, API, {"name": "CI", **given}).status_code == 201

    default = NOW.replace(hour=23, minute=59, second=59, microsecond=999999) + 90 * DAY
    assert Token.objects.get().expires_at == (expires_at if given else default)


@pytest.mark.parametrize(
    ("site", "body", "expected"),
    [
        ({}, {}, {"name": ["required"]}),
        ({}, {"name": " "}, {"name": ["blank"]}),
        ({}, {"name": None}, {"name": ["null"]}),
        ({}, {"name": "x" * 101}, {"name": ["max_length"]}),
        ({}, {"name": "a\u202eb"}, {"name": ["control"]}),
        ({}, {"name": "\u2800"}, {"name": ["invisible"]}),
        ({}, {"name": "laptop"}, {"name": ["unique"]}),
        ({}, {"name": "a", "expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": ["past"]}),
        ({}, {"name": "a", "expires_at": "x"}, {"expires_at": ["invalid"]}),
        ({}, {"name": "a", "expires_in_days": 0}, {"expires_in_days": ["min_value"]}),
        ({}, {"name": "a", "expires_in_days": 36_501}, {"expires_in_days": ["max_value"]}),
        (
            {},
            {"name": "a", "expires_in_days": 1, "expires_at": None},
            {"non_field_errors": ["one_expiration"]},
        ),
        ({}, {"name": "a", "expiry": 1}, {"expiry": ["unknown_field"]}),
        ({}, {"name": "a", "user": 1, "id": 1}, {"user": ["unknown_field"], "id": ["unknown_field"]}),
        ({}, {"name": "a", "scopes": ["read"]}, {"scopes": ["unknown_field"]}),
        ({}, ["a"], {"non_field_errors": ["invalid"]}),
        ({"SCOPES": SCOPES}, {"name": "a"}, {"scopes": ["required"]}),
        ({"SCOPES": SCOPES}, {"name": "a", "scopes": None}, {"scopes": ["null"]}),
        ({"SCOPES": SCOPES}, {"name": "a", "scopes": []}, {"scopes": ["required"]}),
        ({"SCOPES": SCOPES}, {"name": "a", "scopes": ["all"]}, {"scopes": ["unknown_scope"]}),
        ({"SCOPES": SCOPES}, {"name": "a", "scopes": [["read"]]}, {"scopes": ["unknown_scope"]}),
        ({"SCOPES": SCOPES}, {"name": "a", "scopes": "read"}, {"scopes": ["not_a_list"]}),
        ({"SCOPES": SCOPES}, {"name": "a", "scopes": {"read": 1}}, {"scopes": ["not_a_list"]}),
        ({"MAX_TOKENS_PER_USER": 1}, {"name": "a"}, {"non_field_errors": ["limit"]}),
        ({"MAX_EXPIRY_DAYS": 30}, {"name": "a", "expires_in_days": 31}, {"expires_at": ["max_expiry"]}),
        ({"MAX_EXPIRY_DAYS": 30}, {"name": "a", "expires_at": None}, {"expires_at": ["max_expiry"]}),
        ({"EXPIRY_DAYS": [90]}, {"name": "a", "expires_at": None}, {"expires_at": ["null"]}),
        ({"EXPIRY_DAYS": [90]}, {"name": "a", "expires_in_days": None}, {"expires_in_days": ["null"]}),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_refused_with_a_code(
    session: Client,
    token: KnownToken,
    settings: Settings,
    codes: None,
    site: dict[str, Any],
    body: Any,
    expected: Any,
) -> None:
    settings.ACCESS_TOKENS = site

    response = post(session, API, body)

    assert (response.status_code, response.json()) == (400, expected)
    assert Token.objects.count() == 1


@at_now
@pytest.mark.parametrize(
    ("site", "days"),
    [
        ({"EXPIRY_DEFAULT_DAYS": None}, None),
        ({"EXPIRY_DEFAULT_DAYS": 7}, 7),
        ({"EXPIRY_DAYS": []}, None),
        ({"EXPIRY_DAYS": [], "MAX_EXPIRY_DAYS": 5}, 5),
        ({"MAX_EXPIRY_DAYS": 30}, 30),
    ],
)
def test_default_expiration_is_that_of_the_form(
    session: Client, settings: Settings, site: dict[str, Any], days: int | None
) -> None:
    settings.ACCESS_TOKENS = site

    post(session, API, {"name": "CI"})
    session.post("/account/tokens/new/", {"name": "by form"})

    by_form, by_api = Token.objects.all()
    assert by_api.expires_at == by_form.expires_at
    assert by_api.expires_at == (None if days is None else end_of_day(days))


@pytest.mark.parametrize(
    ("given", "status", "stored"),
    [
        ("2099-01-01T12:00:00Z", 201, datetime(2099, 1, 1, 7)),  # noqa: DTZ001
        ("2099-01-01T12:00:00", 201, datetime(2099, 1, 1, 12)),  # noqa: DTZ001
        ("0001-01-01T00:00:00+14:00", 400, None),
    ],
)
def test_expiration_is_in_the_time_zone_of_a_site_without_others(
    session: Client, settings: Settings, given: str, status: int, stored: datetime | None
) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, "America/New_York"

    answer = post(session, API, {"name": "CI", "expires_at": given})

    assert answer.status_code == status
    assert getattr(Token.objects.first(), "expires_at", None) == stored


def test_token_gets_the_scopes_that_were_chosen(session: Client, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}

    response = post(session, API, {"name": "CI", "scopes": ["reports", "read", "read"]})

    assert response.json()["scopes"] == ["read", "reports"]
    assert Token.objects.get().scopes == "read reports"


# Reading.


def test_list_has_only_ones_own_tokens_newest_first(session: Client, token: KnownToken) -> None:
    other = TokenFactory.create()
    newer = TokenFactory.create(user=token.user, name="newer")

    assert names(session.get(API)) == ["newer", "laptop"]
    assert list(session.get(url(newer)).json()) == FIELDS
    for method in ["GET", "PATCH", "DELETE"]:
        foreign, none = (send(session, method, path, {}) for path in (url(other), f"{API}0/"))
        assert foreign.status_code == none.status_code == 404
        assert foreign.content == none.content
    assert post(session, url(other, "rotate/")).status_code == 404
    assert Token.objects.count() == 3


def make_states(user: User) -> None:
    now = timezone.now()
    for name, columns in {
        "new": {},
        "used": {"created_at": now - 100 * DAY, "last_used_at": now - 89 * DAY},
        "never used": {"created_at": now - 90 * DAY},
        "forgotten": {"created_at": now - 200 * DAY, "last_used_at": now - 90 * DAY},
        "old": {"created_at": now - 200 * DAY, "expires_at": now},
        "lasting": {"expires_at": now + DAY},
    }.items():
        TokenFactory.create(user=user, name=name, **columns)


@at_now
@pytest.mark.parametrize("resolution", [timedelta(seconds=1), timedelta(0), None])
def test_filter_finds_the_tokens_with_that_state(
    session: Client, user: User, settings: Settings, resolution: timedelta | None
) -> None:
    settings.ACCESS_TOKENS = {"LAST_USED_RESOLUTION": resolution}
    make_states(user)

    states = {token["name"]: token["state"] for token in session.get(API).json()["results"]}

    unused = "active" if resolution is None else "unused"
    assert states == {
        "new": "active", "used": "active", "never used": unused, "forgotten": unused,
        "old": "expired", "lasting": "active",
    }  # fmt: skip
    for asked in ["active", "unused", "expired", "active,unused", "expired,unused,active"]:
        found = {name for name, state in states.items() if state in asked.split(",")}
        assert set(names(session.get(API, {"state": asked}))) == found


def test_unknown_state_is_refused(session: Client, token: KnownToken) -> None:
    for state in ["", "gone", "active,gone", "active gone"]:
        response = session.get(API, {"state": state})
        assert response.status_code == 400
        assert list(response.json()) == ["state"]


def test_search_finds_names_and_partials(session: Client, token: KnownToken) -> None:
    TokenFactory.create(user=token.user, name="build server")

    assert names(session.get(API, {"search": "SERV"})) == ["build server"]
    assert names(session.get(API, {"search": token.partial[-4:]})) == ["laptop"]
    assert names(session.get(API, {"search": token.secret[10:30]})) == []
    assert session.get(API, {"search": "x" * 101}).status_code == 400


def test_ordering_is_by_the_fields_of_the_list_and_stable(session: Client, user: User) -> None:
    for name in "bca":
        TokenFactory.create(user=user, name=name)

    for ordering, expected in {
        "name": "abc",
        "-name": "cba",
        "created_at": "bca",
        "last_used_at": "acb",  # None was used, so the newest comes first
        "-expires_at": "acb",
        "digest": "acb",
        "user__password": "acb",
    }.items():
        assert names(session.get(API, {"ordering": ordering})) == list(expected), ordering


def test_pages_have_50_tokens(session: Client, user: User) -> None:
    for _ in range(51):
        TokenFactory.create(user=user)

    first = session.get(API).json()
    assert (first["count"], len(first["results"])) == (51, 50)
    assert len(session.get(first["next"]).json()["results"]) == 1


@pytest.mark.parametrize("count", [1, 20])
def test_list_takes_the_same_number_of_queries_for_any_number_of_tokens(
    session: Client, user: User, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(count):
        TokenFactory.create(user=user)

    # The session, its user, the number of tokens and the tokens.
    with django_assert_num_queries(4):
        session.get(API)


# Changing.


def test_change_is_of_name_and_scopes_alone(
    session: Client, token: KnownToken, settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}

    assert patch(session, url(token), {"name": "desk"}).json()["scopes"] is None
    answer = patch(session, url(token), {"scopes": ["write"]}).json()

    assert (list(answer), answer["name"], answer["scopes"]) == (FIELDS, "desk", ["write"])
    assert Token.objects.get().scopes == "write"
    assert patch(session, url(token), {}).status_code == 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": "taken"}, {"name": ["unique"]}),
        ({"name": ""}, {"name": ["blank"]}),
        ({"scopes": None}, {"scopes": ["null"]}),
        ({"scopes": []}, {"scopes": ["required"]}),
        ({"scopes": ["all"]}, {"scopes": ["unknown_scope"]}),
        ({"expires_at": None}, {"expires_at": ["unknown_field"]}),
        ({"partial": "x"}, {"partial": ["unknown_field"]}),
        ({"digest": "x"}, {"digest": ["unknown_field"]}),
        ({"secret": "x"}, {"secret": ["unknown_field"]}),
        ([], {"non_field_errors": ["invalid"]}),
    ],
)
def test_other_changes_are_refused(
    session: Client,
    token: KnownToken,
    settings: Settings,
    codes: None,
    body: Any,
    expected: Any,
) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}
    TokenFactory.create(user=token.user, name="taken")

    response = patch(session, url(token), body)

    assert (response.status_code, response.json()) == (400, expected)


def test_change_writes_no_other_column(
    session: Client, token: KnownToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    used_at = timezone.now()
    change = Token.change

    def use_and_change(token: Token, **columns: Any) -> None:
        Token.objects.update(last_used_at=used_at)
        change(token, **columns)

    monkeypatch.setattr(Token, "change", use_and_change)
    assert patch(session, url(token), {"name": "desk"}).status_code == 200
    assert Token.objects.get().last_used_at == used_at


def test_change_brings_no_deleted_token_back(
    session: Client, token: KnownToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = Token.change

    def delete_and_change(token: Token, **columns: Any) -> None:
        Token.objects.all().delete()
        change(token, **columns)

    monkeypatch.setattr(Token, "change", delete_and_change)
    assert patch(session, url(token), {"name": "desk"}).status_code == 404
    assert not Token.objects.exists()


def test_token_is_not_replaced(session: Client, token: KnownToken) -> None:
    assert session.put(url(token), {"name": "desk"}, content_type=JSON).status_code == 405


def test_deleted_token_is_gone(session: Client, token: KnownToken, listen: Any) -> None:
    deleted = listen(token_deleted)

    response = session.delete(url(token))

    assert (response.status_code, response.content) == (204, b"")
    assert len(deleted) == 1
    assert client_of(token).get(SELF).status_code == 401
    assert session.delete(url(token)).status_code == 404


# Rotating.


@pytest.mark.parametrize("end_previous_now", [None, False, True])
def test_answer_to_rotate_has_the_new_secret(
    session: Client, token: KnownToken, end_previous_now: bool | None
) -> None:
    body = {} if end_previous_now is None else {"end_previous_now": end_previous_now}

    response = post(session, url(token, "rotate/"), body)

    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]
    answer = response.json()
    assert list(answer) == [*FIELDS, "secret"]
    assert (answer["id"], answer["previous_partial"]) == (token.pk, token.partial)
    assert (answer["previous_ends_at"] is not None) == bool(end_previous_now)
    assert client_of(token).get(SELF).status_code == (401 if end_previous_now else 200)
    assert Token.objects.verify(answer["secret"]).pk == token.pk


def test_rotation_that_is_impossible_is_refused(
    session: Client, token: KnownToken, settings: Settings, codes: None
) -> None:
    rotate = url(token, "rotate/")

    assert post(session, rotate, {"expires_at": None}).json() == {"expires_at": ["unknown_field"]}
    assert post(session, rotate, {"end_previous_now": "x"}).status_code == 400
    settings.ACCESS_TOKENS = {"ROTATION_OVERLAP": None}
    response = post(session, rotate)
    assert (response.status_code, response.json()) == (403, "rotation_off")
    settings.ACCESS_TOKENS = {}
    Token.objects.update(expires_at=timezone.now())
    response = post(session, rotate)
    assert (response.status_code, response.json()) == (400, {"non_field_errors": ["expired"]})
    assert Token.objects.get().rotated_at is None


def test_rotation_loses_against_another_one(
    session: Client, token: KnownToken, codes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate = type(Token.objects).rotate
    secrets = []

    def rotate_twice(manager: Any, token: Token, **kwargs: Any) -> Any:
        secrets.append(rotate(manager, Token.objects.get()))
        return rotate(manager, token, **kwargs)

    monkeypatch.setattr(type(Token.objects), "rotate", rotate_twice)
    response = post(session, url(token, "rotate/"))

    assert (response.status_code, response.json()) == (409, "conflict")
    assert Token.objects.verify(secrets[0])


def test_each_way_sends_its_signal(session: Client, listen: Any) -> None:
    created, rotated = listen(token_created), listen(token_rotated)

    token = Token(pk=post(session, API, {"name": "CI"}).json()["id"])
    post(session, url(token, "rotate/"))

    assert [len(created), len(rotated)] == [1, 1]


# What a token may do.


MANAGEMENT = [
    (HTTPMethod.GET, ""), (HTTPMethod.POST, ""), (HTTPMethod.OPTIONS, ""),
    (HTTPMethod.GET, "1/"), (HTTPMethod.PATCH, "1/"), (HTTPMethod.PUT, "1/"),
    (HTTPMethod.DELETE, "1/"), (HTTPMethod.OPTIONS, "1/"), (HTTPMethod.POST, "1/rotate/"),
]  # fmt: skip


@pytest.mark.parametrize("scopes", [None, ["read"], ["write"], list(SCOPES)])
@pytest.mark.parametrize(("method", "path"), MANAGEMENT)
def test_token_never_manages_tokens(
    user: User,
    settings: Settings,
    codes: None,
    scopes: list[str] | None,
    method: str,
    path: str,
) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}
    token = TokenFactory.create(user=user, scopes=scopes)

    response = send(client_of(token), method, API + path.replace("1", str(token.pk)), {})

    assert (response.status_code, response.json()) == (403, "token_not_allowed")
    assert Token.objects.get().rotated_at is None


def test_refused_token_is_told_about_self(token: KnownToken) -> None:
    assert "self/" in client_of(token).get(API).json()["detail"]


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
def test_session_has_no_token_to_show(
    session: Client, token: KnownToken, codes: None, method: str
) -> None:
    response = send(session, method, SELF)

    assert (response.status_code, response.json()) == (403, "token_required")
    assert Token.objects.exists()


@pytest.mark.parametrize("scopes", [None, ["read"], ["reports"]])
def test_token_sees_itself_whatever_its_scopes(
    user: User, settings: Settings, scopes: list[str] | None
) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}
    token = TokenFactory.create(user=user, name="laptop", scopes=scopes)

    answer = client_of(token).get(SELF).json()

    assert list(answer) == [*FIELDS, "user"]
    assert (answer["id"], answer["user"], answer["scopes"]) == (token.pk, "ada", scopes)


def test_token_in_use_is_active_though_it_was_forgotten(token: KnownToken) -> None:
    Token.objects.update(created_at=timezone.now() - 100 * DAY)

    assert client_of(token).get(SELF).json()["state"] == "active"


def test_self_costs_no_query_more_than_any_view(
    token: KnownToken, settings: Settings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    settings.ACCESS_TOKENS = {"LAST_USED_RESOLUTION": None}
    with django_assert_num_queries(1):
        client_of(token).get(SELF)


def test_token_deletes_itself(token: KnownToken) -> None:
    response = client_of(token).delete(SELF)

    assert (response.status_code, response.content) == (204, b"")
    assert not Token.objects.exists()


def test_old_secret_deletes_only_itself(token: KnownToken) -> None:
    secret = Token.objects.rotate(token)

    assert client_of(token).delete(SELF).status_code == 204
    assert client_of(token).get(SELF).status_code == 401
    assert Token.objects.verify(secret)


# SELF_ROTATION.


def test_token_rotates_itself_only_where_the_site_allows_it(
    token: KnownToken, codes: None, settings: Settings
) -> None:
    response = post(client_of(token), f"{SELF}rotate/")
    assert (response.status_code, response.json()) == (403, "rotation_off")

    settings.ACCESS_TOKENS = {"SELF_ROTATION": True}
    response = post(client_of(token), f"{SELF}rotate/")
    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]
    assert Token.objects.verify(response.json()["secret"]).pk == token.pk


@pytest.fixture
def self_rotation(settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SELF_ROTATION": True, "SCOPES": SCOPES}


def test_session_does_not_rotate_as_a_token(
    session: Client, codes: None, self_rotation: None
) -> None:
    assert post(session, f"{SELF}rotate/").json() == "token_required"


def test_token_rotates_itself_whatever_its_scopes(user: User, self_rotation: None) -> None:
    token = TokenFactory.create(user=user, scopes=["reports"])

    answer = post(client_of(token), f"{SELF}rotate/", {"end_previous_now": True}).json()

    assert answer["scopes"] == ["reports"]
    assert client_of(token).get(SELF).status_code == 401


def test_old_secret_does_not_rotate(token: KnownToken, codes: None, self_rotation: None) -> None:
    secret = Token.objects.rotate(token)

    response = post(client_of(token), f"{SELF}rotate/")

    assert (response.status_code, response.json()) == (403, "previous_secret")
    assert Token.objects.verify(secret)


@pytest.mark.parametrize("limit", [None, 10, 1000])
@pytest.mark.parametrize("lifetime", [None, 30 * DAY, 30 * DAY + timedelta(hours=10)])
def test_self_rotation_never_gives_a_longer_lifetime(
    user: User, settings: Settings, lifetime: timedelta | None, limit: int | None
) -> None:
    # The second is the end of a day, which a rotation on the page keeps.
    made = NOW.replace(hour=14) - timedelta(microseconds=1)
    with time_machine.travel(made, tick=False):
        expires_at = None if lifetime is None else made + lifetime
        token = TokenFactory.create(user=user, created_at=made, expires_at=expires_at)
    settings.ACCESS_TOKENS = {"SELF_ROTATION": True, "MAX_EXPIRY_DAYS": limit}

    with time_machine.travel(NOW + DAY, tick=False):
        response = post(client_of(token), f"{SELF}rotate/")
        assert response.status_code == 200
        rotated = Token.objects.get()
        latest = end_of_day(limit) if limit else None
    ends = [end for end in (lifetime and NOW + DAY + lifetime, latest) if end]
    assert rotated.expires_at == min(ends, default=None)


def test_self_rotation_cuts_a_lifetime_that_reaches_the_end_of_the_calendar(
    token: KnownToken, self_rotation: None
) -> None:
    Token.objects.update(created_at=NOW, expires_at=datetime.max.replace(tzinfo=UTC))

    with time_machine.travel(NOW + DAY, tick=False):
        assert post(client_of(token), f"{SELF}rotate/").status_code == 200
    assert Token.objects.get().expires_at == NOW + DAY + timedelta(days=LONGEST_EXPIRY)


def test_self_rotation_loses_against_another_one(
    token: KnownToken, codes: None, self_rotation: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a thief would end the secret that the owner just got."""
    rotate = type(Token.objects).rotate
    secrets = []

    def rotate_twice(manager: Any, token: Token, **kwargs: Any) -> Any:
        secrets.append(rotate(manager, Token.objects.get(), end_previous_now=True))
        return rotate(manager, token, **kwargs)

    monkeypatch.setattr(type(Token.objects), "rotate", rotate_twice)
    response = post(client_of(token), f"{SELF}rotate/")

    assert (response.status_code, response.json()) == (409, "conflict")
    assert Token.objects.verify(secrets[0])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("atomic", [False, True])
def test_self_rotation_keeps_the_secret_that_asked_for_it(
    token: KnownToken, self_rotation: None, monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    """It is in use, though in a transaction that may not be written yet."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", atomic)
    second = Token.objects.rotate(token)

    answer = Client(headers={"Authorization": f"Bearer {second}"}).post(f"{SELF}rotate/").json()

    assert Token.objects.get().previous_ends_at is None
    assert Token.objects.verify(second).by_previous_secret
    assert not Token.objects.verify(answer["secret"]).by_previous_secret
    assert client_of(token).get(SELF).status_code == 401


# MAY_CREATE.


def is_ada(user: User) -> bool:
    return user.get_username() == "ada"


@pytest.mark.parametrize("rule", [is_ada, "tests.test_api_tokens.is_ada"])
def test_rule_of_the_site_decides_who_may_create(
    session: Client, settings: Settings, codes: None, rule: Any
) -> None:
    settings.ACCESS_TOKENS = {"MAY_CREATE": rule}
    other = Client()
    other.force_login(UserFactory.create())

    response = post(other, API, {"name": "CI"})
    assert (response.status_code, response.json()) == (403, "may_not_create")
    assert other.get(API).status_code == 200
    assert "actions" not in other.options(API).json()
    assert post(session, API, {"name": "CI"}).status_code == 201
    assert "actions" in session.options(API).json()


def test_rotation_does_not_count_as_creating(
    session: Client, token: KnownToken, settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"MAY_CREATE": lambda user: False}

    assert post(session, url(token, "rotate/")).status_code == 200


# Secrets.


def test_secret_is_in_its_answer_and_in_no_log(
    session: Client, token: KnownToken, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [
        post(session, API, {"name": "CI"}).json()["secret"],
        post(session, url(token, "rotate/")).json()["secret"],
    ]

    paths = [API, url(token), url(token, "rotate/")]
    answers = [session.options(path).content + session.get(path).content for path in paths]
    for secret in secrets:
        assert secret not in caplog.text
        assert all(secret.encode() not in answer for answer in answers)
    assert Token.objects.get(pk=token.pk).digest not in caplog.text
