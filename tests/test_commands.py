from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User, UserManager
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.dispatch import Signal
from django.urls import include, path
from django.utils import timezone
from django.views.decorators.cache import cache_page
from django.views.generic import TemplateView
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action, api_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from access_tokens.decorators import required_scopes
from access_tokens.exceptions import TokenRejected
from access_tokens.last_used import record_use
from access_tokens.models import Token
from access_tokens.signals import token_deleted

from .factories import KnownToken, TokenFactory, UserFactory
from .smtp import closed_port, mail_server, send_by

Listen = Callable[[Signal], list[dict[str, Any]]]
Output = pytest.CaptureFixture[str]

SCOPES = {"read": "Read", "write": "Read and write", "reports": "Run reports"}


def create(*args: Any) -> None:
    call_command("create_access_token", *args)


def delete(*args: Any) -> None:
    call_command("delete_access_tokens", *args)


@pytest.fixture
def log_in_by_email(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make users log in with their e-mail address."""

    def get_by_natural_key(self: UserManager[User], username: str | None) -> User:
        return self.get(email=username)

    monkeypatch.setattr(UserManager, "get_by_natural_key", get_by_natural_key)


# create_access_token


def test_secret_is_alone_on_stdout(user: User, capsys: Output) -> None:
    create("ada", "laptop")

    output = capsys.readouterr()
    secret = output.out.removesuffix("\n")
    token = Token.objects.verify(secret)
    assert (token.user, token.name, token.expires_at) == (user, "laptop", None)
    assert output.err == (
        "This is the only time the token is shown. Store it in a password manager or vault.\n"
    )


@time_machine.travel("2026-11-24 12:00:00Z", tick=False)
@pytest.mark.parametrize(("days", "last"), [("0", "2026-11-24"), ("90", "2027-02-22")])
def test_token_expires_at_the_end_of_the_day(user: User, days: str, last: str) -> None:
    create("ada", "laptop", "--expires-in-days", days)

    expires_at = Token.objects.get().expires_at
    assert expires_at is not None
    assert expires_at.isoformat() == f"{last}T23:59:59.999999+00:00"


def test_expiration_works_without_use_tz(user: User, settings: Settings) -> None:
    settings.USE_TZ = False

    create("ada", "laptop", "--expires-in-days", "1")
    token = Token.objects.get()
    assert token.expires_at is not None
    assert timedelta(0) < token.expires_at - timezone.now() < timedelta(days=2)


@pytest.mark.parametrize("username", ["nobody", "", "a\0", "\ud800", "x" * 1000])
@pytest.mark.parametrize("command", [create, delete])
def test_unknown_user_is_an_error(user: User, command: Any, username: str) -> None:
    arguments = ["laptop"] if command is create else ["--all"]
    with pytest.raises(CommandError, match="There is no user") as caught:
        command(username, *arguments)

    assert repr(username) in str(caught.value)


def test_user_is_found_by_natural_key(log_in_by_email: None, db: None) -> None:
    user = UserFactory.create(email="ada@example.com")

    create("ada@example.com", "laptop")
    assert Token.objects.get().user == user
    delete("ada@example.com", "--all")
    assert not Token.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["laptop"], "You already have a token named “laptop”. Choose another name."),
        ([""], "Enter a name."),
        (["  "], "Enter a name."),
        (["a" * 101], "Ensure this value has at most 100 characters (it has 101)."),
        (["a\nb"], "The name contains a control character."),
        (["\ud800"], "The name contains a control character."),
        (["\u200b"], "The name has no visible character."),
        (
            ["new", "--expires-in-days", "-1"],
            "--expires-in-days: The expiration must be in the future.",
        ),
        (
            ["new", "--expires-in-days", "9999999"],
            "--expires-in-days: The expiration is too far away.",
        ),
        (["new", "--expires-in-days", "9" * 30], "The expiration is too far away."),
        (["new", "--expires-in-days", "soon"], "argument --expires-in-days: invalid int value"),
    ],
)
def test_bad_argument_is_an_error(
    token: KnownToken, capsys: Output, arguments: list[str], message: str
) -> None:
    with pytest.raises(CommandError) as caught:
        create("ada", *arguments)

    assert message in str(caught.value)
    assert capsys.readouterr().out == ""
    assert Token.objects.get() == token


def test_inactive_user_is_an_error(user: User) -> None:
    User.objects.update(is_active=False)

    with pytest.raises(CommandError, match=r"^The user is inactive\.$"):
        create("ada", "laptop")


def test_secret_cannot_be_chosen(user: User) -> None:
    with pytest.raises(CommandError, match="unrecognized arguments"):
        create("ada", "laptop", "--secret", "pat_0")


def test_token_has_the_scopes_that_are_named(user: User, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}

    create("ada", "laptop", "--scopes", "reports", "read")
    create("ada", "server")
    scopes = Token.objects.order_by("pk").values_list("scopes", flat=True)
    assert list(scopes) == ["read reports", None]


@pytest.mark.parametrize(
    ("configured", "arguments", "message"),
    [
        ({"SCOPES": SCOPES}, ["--scopes", "read", "report"], "argument --scopes: invalid choice"),
        ({"SCOPES": SCOPES}, ["--scopes"], "argument --scopes: expected at least one argument"),
        ({}, ["--scopes", "read"], "unrecognized arguments: --scopes read"),
        (
            {"MAX_EXPIRY_DAYS": 30},
            ["--expires-in-days", "31"],
            "--expires-in-days: The token must expire within 30 days.",
        ),
        (
            {"MAX_EXPIRY_DAYS": 30},
            [],
            "--expires-in-days: The token must expire within 30 days.",
        ),
        (
            {"MAX_TOKENS_PER_USER": 1},
            [],
            "You have reached the limit of 1 token. Delete one to make room.",
        ),
    ],
)
def test_command_keeps_to_what_the_site_allows(
    token: KnownToken,
    settings: Settings,
    configured: dict[str, Any],
    arguments: list[str],
    message: str,
) -> None:
    settings.ACCESS_TOKENS = configured

    with pytest.raises(CommandError) as caught:
        create("ada", "server", *arguments)
    assert message in str(caught.value)
    assert Token.objects.get() == token


# delete_access_tokens


@pytest.fixture
def tokens(user: User) -> list[KnownToken]:
    TokenFactory.create(name="laptop")
    return [TokenFactory.create(user=user, name=name) for name in ("laptop", "server", "phone")]


@pytest.mark.parametrize(
    ("arguments", "said", "left"),
    [
        (["--name", "laptop"], "Deleted 1 access token.\n", {"server", "phone"}),
        (["--all"], "Deleted 3 access tokens.\n", set()),
    ],
)
def test_tokens_of_the_user_are_deleted(
    user: User,
    tokens: list[KnownToken],
    capsys: Output,
    arguments: list[str],
    said: str,
    left: set[str],
) -> None:
    delete("ada", *arguments)

    assert capsys.readouterr().out == said
    assert set(Token.objects.filter(user=user).values_list("name", flat=True)) == left
    assert Token.objects.exclude(user=user).count() == 1


def test_deleting_all_of_none_is_no_error(user: User, capsys: Output) -> None:
    delete("ada", "--all")

    assert capsys.readouterr().out == "Deleted 0 access tokens.\n"


@pytest.mark.parametrize("name", ["Laptop", "", "typo"])
def test_deleting_a_name_that_does_not_exist_is_an_error(
    tokens: list[KnownToken], name: str
) -> None:
    with pytest.raises(CommandError) as caught:
        delete("ada", "--name", name)

    assert str(caught.value) == f"ada has no access token {name!r}."
    assert Token.objects.count() == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "one of the arguments --name --all is required"),
        (["--name", "laptop", "--all"], "not allowed with argument"),
    ],
)
def test_name_or_all_is_required(
    tokens: list[KnownToken], arguments: list[str], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        delete("ada", *arguments)

    assert Token.objects.count() == 4


# rotate_access_token


@pytest.mark.parametrize(
    ("arguments", "works", "said"),
    [
        ([], True, "The old token works until 1\xa0hour after the first use of the new one.\n"),
        (["--end-previous-now"], False, "The old token no longer works.\n"),
    ],
)
def test_new_secret_is_alone_on_stdout(
    token: KnownToken,
    settings: Settings,
    capsys: Output,
    arguments: list[str],
    works: bool,
    said: str,
) -> None:
    settings.ACCESS_TOKENS = {"ROTATION_OVERLAP": timedelta(hours=1)}
    call_command("rotate_access_token", "ada", "laptop", *arguments)

    output = capsys.readouterr()
    assert Token.objects.verify(output.out.removesuffix("\n")) == token
    assert output.err == (
        f"{said}"
        "This is the only time the token is shown. Store it in a password manager or vault.\n"
    )
    with nullcontext() if works else pytest.raises(TokenRejected):
        Token.objects.verify(token.secret)


@pytest.mark.parametrize(
    ("username", "name", "message"),
    [
        ("bob", "laptop", "There is no user 'bob'."),
        ("ada", "Laptop", "ada has no access token 'Laptop'."),
        ("ada", "a\0", r"ada has no access token 'a\x00'."),
        ("ada", "\ud800", r"ada has no access token '\ud800'."),
        ("ada", "server", "ada has no access token 'server'."),
        ("ada", "old", "The token has expired."),
    ],
)
def test_token_that_cannot_be_rotated_is_an_error(
    token: KnownToken, capsys: Output, username: str, name: str, message: str
) -> None:
    TokenFactory.create(name="server")
    TokenFactory.create(user=token.user, name="old", expires_at=timezone.now())

    with pytest.raises(CommandError) as caught:
        call_command("rotate_access_token", username, name)
    assert str(caught.value) == message
    assert capsys.readouterr().out == ""


# list_access_tokens

LISTED = """\
USER  NAME    TOKEN          SCOPES        CREATED           LAST USED         EXPIRES
ada   laptop  pat_aaaa…zzzz  full access   2026-11-24 12:00  2026-11-24 11:59  2026-12-01 00:00
ada   Büro    pat_aaaa…zzzz  read reports  2026-11-24 12:00  {never:<16}  never
"""
JSON: dict[str, Any] = {
    "user": "ada",
    "name": "laptop",
    "partial": "pat_aaaa…zzzz",
    "scopes": None,
    "created_at": "2026-11-24T12:00:00Z",
    "last_used_at": "2026-11-24T11:59:30Z",
    "expires_at": "2026-12-01T00:00:00Z",
    "rotated_at": None,
    "previous_partial": "",
    "previous_ends_at": None,
}


@pytest.fixture
def listed(user: User, settings: Settings) -> Iterator[list[KnownToken]]:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}
    with time_machine.travel("2026-11-24 12:00:00Z", tick=False):
        laptop = TokenFactory.create(
            user=user,
            name="laptop",
            partial="pat_aaaa…zzzz",
            last_used_at=datetime(2026, 11, 24, 11, 59, 30, tzinfo=UTC),
            expires_at=datetime(2026, 12, 1, tzinfo=UTC),
        )
        office = TokenFactory.create(
            user=user, name="Büro", partial="pat_aaaa…zzzz", scopes=["read", "reports"]
        )
        TokenFactory.create(user=UserFactory.create(username="bob"), name="server")
        yield [laptop, office]


@pytest.mark.parametrize(
    ("resolution", "never"),
    [(timedelta(seconds=1), "never"), (timedelta(0), "never"), (None, "not recorded")],
)
def test_tokens_of_a_user_are_listed(
    listed: list[KnownToken],
    settings: Settings,
    capsys: Output,
    resolution: timedelta | None,
    never: str,
) -> None:
    settings.ACCESS_TOKENS = {"LAST_USED_RESOLUTION": resolution}
    call_command("list_access_tokens", "ada")

    assert capsys.readouterr().out == LISTED.format(never=never)


def test_tokens_of_all_users_are_listed(listed: list[KnownToken], capsys: Output) -> None:
    call_command("list_access_tokens")

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["USER", "NAME"],
        ["ada", "laptop"],
        ["ada", "Büro"],
        ["bob", "server"],
    ]


def test_tokens_are_listed_as_json(listed: list[KnownToken], capsys: Output) -> None:
    Token.objects.rotate(listed[1], end_previous_now=True)
    call_command("list_access_tokens", "ada", "--json")

    output = capsys.readouterr().out
    laptop, office = json.loads(output)
    assert laptop == {"id": listed[0].pk} | JSON
    assert office["scopes"] == ["read", "reports"]
    assert office["previous_partial"] == "pat_aaaa…zzzz"
    assert office["rotated_at"] == office["previous_ends_at"] == "2026-11-24T12:00:00Z"
    assert "Büro" in output


def test_json_has_the_expiration_of_an_old_secret(listed: list[KnownToken], capsys: Output) -> None:
    Token.objects.rotate(listed[0])
    call_command("list_access_tokens", "ada", "--json")

    laptop, _office = json.loads(capsys.readouterr().out)
    assert laptop["previous_ends_at"] == JSON["expires_at"]


def test_list_of_nothing_is_empty(db: None, capsys: Output) -> None:
    call_command("list_access_tokens", "--json")

    assert json.loads(capsys.readouterr().out) == []


def test_list_reads_no_digest(
    listed: list[KnownToken], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1) as queries:
        call_command("list_access_tokens")

    assert "digest" not in queries[0]["sql"]


# prune_access_tokens


def prune(*arguments: str) -> None:
    call_command("prune_access_tokens", *arguments)


@pytest.fixture
def ages(user: User) -> Iterator[None]:
    """Tokens that are named after their age in days."""
    with time_machine.travel("2026-11-24 12:00:00Z", tick=False):
        now = timezone.now()
        for days in [0, 29, 30, 31]:
            ago = now - timedelta(days=days)
            columns: dict[str, dict[str, Any]] = {
                "expired": {"expires_at": ago},
                "used": {"last_used_at": ago, "created_at": now - timedelta(days=99)},
                "created": {"created_at": ago},
            }
            for name, values in columns.items():
                TokenFactory.create(user=user, name=f"{name} {days}", **values)
        token = TokenFactory.create(user=user, name="rotated", created_at=ago)
        Token.objects.rotate(token)
        yield


def pruned(*arguments: str) -> set[str]:
    """Return the names of the tokens that are gone after a run."""
    before = set(Token.objects.values_list("name", flat=True))
    prune(*arguments)
    return before - set(Token.objects.values_list("name", flat=True))


EXPIRED = {"expired 30", "expired 31"}
UNUSED = {"used 30", "used 31", "created 30", "created 31"}


@pytest.mark.usefixtures("ages")
@pytest.mark.parametrize("chunk_size", [1, 2, 500])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--expired-days", "30"], EXPIRED),
        (["--unused-days", "30"], UNUSED),
        (["--expired-days", "30", "--unused-days", "30"], EXPIRED | UNUSED),
        (["--expired-days", "32"], set()),
    ],
)
def test_tokens_are_pruned_by_age(
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
    listen: Listen,
    arguments: list[str],
    expected: set[str],
    chunk_size: int,
) -> None:
    monkeypatch.setattr("access_tokens.querysets.CHUNK_SIZE", chunk_size)
    deleted = listen(token_deleted)

    prune(*arguments, "--dry-run")
    assert pruned(*arguments) == expected
    count = f"{len(expected)} access tokens.\n"
    assert capsys.readouterr().out == f"Would delete {count}Deleted {count}"
    assert {sent["token"].name for sent in deleted} == expected
    assert pruned(*arguments) == set()


def test_one_token_is_one_token(token: KnownToken, capsys: Output) -> None:
    Token.objects.update(expires_at=timezone.now() - timedelta(days=1))

    prune("--expired-days", "1")
    assert capsys.readouterr().out == "Deleted 1 access token.\n"


def test_token_that_is_used_meanwhile_is_not_pruned(user: User) -> None:
    ago = timezone.now() - timedelta(days=100)
    tokens = [TokenFactory.create(user=user, created_at=ago) for _ in range(3)]

    def use_one(execute: Any, sql: str, *args: Any) -> Any:
        # The chunk is known by now.
        if sql.startswith("SELECT") and " IN (" in sql and not used:
            used.append(tokens[1])
            record_use(tokens[1])
        return execute(sql, *args)

    used: list[KnownToken] = []
    with connection.execute_wrapper(use_one):
        prune("--unused-days", "90")

    assert list(Token.objects.all()) == used


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give --expired-days, --unused-days or both."),
        (["--expired-days", "0"], "argument --expired-days: 0 is not between 1 and 36500"),
        (["--unused-days", "-1"], "argument --unused-days: -1 is not between 1 and 36500"),
        (["--unused-days", "9" * 30], f"argument --unused-days: {'9' * 30} is not between 1 and"),
        (["--unused-days", "soon"], "argument --unused-days: invalid number_of_days value: 'soon'"),
    ],
)
def test_it_must_be_said_what_to_prune(
    token: KnownToken, arguments: list[str], message: str
) -> None:
    with pytest.raises(CommandError) as caught:
        prune(*arguments)

    assert message in str(caught.value)


def test_unused_tokens_are_not_pruned_where_uses_are_not_recorded(
    token: KnownToken, settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"LAST_USED_RESOLUTION": None}
    Token.objects.update(created_at=timezone.now() - timedelta(days=100))

    with pytest.raises(CommandError, match="--unused-days: Uses are not recorded"):
        prune("--unused-days", "90", "--expired-days", "90")
    assert Token.objects.exists()


# send_access_token_expiry_emails


def send(*arguments: str) -> None:
    call_command("send_access_token_expiry_emails", *arguments)


@pytest.fixture
def expiring(user: User) -> None:
    users = [user, UserFactory.create(username="bob")]
    for each in users:
        each.email = f"{each.username}@example.com"
        each.save()
        for name, days in [("laptop", 3), ("server", 5), ("phone", 20)]:
            expires_at = timezone.now() + timedelta(days=days)
            TokenFactory.create(user=each, name=name, expires_at=expires_at)


@pytest.mark.usefixtures("expiring")
def test_dry_run_says_who_would_get_an_email(capsys: Output) -> None:
    send("--dry-run")
    users = "ada: laptop, server\nbob: laptop, server\n"
    assert capsys.readouterr().out == f"{users}Would send 2 emails.\n"
    assert mail.outbox == []

    send()
    send("--days", "4", "3")
    send("--days", "4", "3")
    assert capsys.readouterr().out == "Sent 2 emails.\nSent 2 emails.\nSent 0 emails.\n"
    assert len(mail.outbox) == 4


@pytest.mark.usefixtures("expiring")
def test_emails_that_fail_are_an_error(settings: Settings, capsys: Output) -> None:
    message = "1 email could not be sent. The next run tries again."
    with mail_server(settings) as server:
        server.refused = "bob@example.com"
        with pytest.raises(CommandError, match=message):
            send()
    assert capsys.readouterr().out == "Sent 1 email.\n"

    send_by(settings, closed_port())
    Token.objects.update(expiry_notice=None)
    with pytest.raises(CommandError, match="2 emails could not be sent"):
        send()


def test_days_must_be_numbers_of_days(db: None) -> None:
    with pytest.raises(CommandError, match="argument --days: 0 is not between 1 and 36500"):
        send("--days", "0")


# list_access_token_scopes


class ReportViewSet(ViewSet):
    required_scopes: Any = {"list": [], "destroy": ["reports", "write"]}

    def list(self, request: Request) -> Response:
        raise NotImplementedError

    create = destroy = list

    @action(detail=True, methods=["get", "post"], required_scopes=["reports"])
    def run(self, request: Request) -> Response:
        raise NotImplementedError


class StatusView(APIView):
    def get(self, request: Request) -> Response:
        raise NotImplementedError

    head = post = get


@required_scopes({"DELETE": ["reports"]})
@api_view(["GET", "DELETE"])
def purge(request: Request) -> Response:
    raise NotImplementedError


router = DefaultRouter()
router.register("reports", ReportViewSet, basename="report")
urlpatterns = [
    path("", TemplateView.as_view()),
    path("api/", include(router.urls)),
    path("api/status/", StatusView.as_view()),
    path("api/purge/<int:pk>/", cache_page(60)(purge)),
    path("api/tokens/", include("access_tokens.api.urls")),
    path("site/", StatusView.as_view(authentication_classes=[SessionAuthentication])),
]
ENDPOINTS = """\
/api/reports/                 GET     (any token)
/api/reports/                 POST    write
/api/reports/<pk>/            DELETE  reports write
/api/reports/<pk>/run/        GET     reports
/api/reports/<pk>/run/        POST    reports
/api/                         GET     read
/api/status/                  GET     read
/api/status/                  POST    write
/api/purge/<int:pk>/          DELETE  reports
/api/purge/<int:pk>/          GET     read
/api/tokens/                  GET     (no access tokens)
/api/tokens/                  POST    (no access tokens)
/api/tokens/self/             DELETE  (any token)
/api/tokens/self/             GET     (any token)
/api/tokens/self/rotate/      POST    (any token)
/api/tokens/<int:pk>/         DELETE  (no access tokens)
/api/tokens/<int:pk>/         GET     (no access tokens)
/api/tokens/<int:pk>/         PATCH   (no access tokens)
/api/tokens/<int:pk>/rotate/  POST    (no access tokens)
/site/                        GET     (no access tokens)
/site/                        POST    (no access tokens)
"""


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(
    ("scopes", "said"),
    [(SCOPES, ""), ({}, "Scopes are off: ACCESS_TOKENS['SCOPES'] is empty.\n")],
)
def test_every_endpoint_is_listed_with_its_scopes(
    settings: Settings, capsys: Output, scopes: dict[str, str], said: str
) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": scopes}
    call_command("list_access_token_scopes")

    output = capsys.readouterr()
    assert output.out == ENDPOINTS
    assert output.err == said


def test_site_without_an_api_has_no_endpoints(settings: Settings, capsys: Output) -> None:
    settings.ROOT_URLCONF = (path("", TemplateView.as_view()),)
    call_command("list_access_token_scopes")

    assert capsys.readouterr().out == ""
