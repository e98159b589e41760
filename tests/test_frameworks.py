"""The code in docs/frameworks.md works as it says, with the packages that it is about."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.contrib.auth.models import User
from django.core.asgi import get_asgi_application
from django.db import DatabaseError, connection
from django.test import AsyncClient, Client
from django.urls import path
from ninja import NinjaAPI
from ninja.decorators import decorate_view
from pytest_django import Settings
from strawberry.django.views import AsyncGraphQLView

from access_tokens.decorators import access_token_required
from access_tokens.models import Token

from .docs import code_block
from .factories import KnownToken, TokenFactory
from .test_authentication import INVALID, break_query
from .test_scopes import SCOPES

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_frameworks")]


async def count_notes(user: User) -> int:
    return await sync_to_async(user.groups.count)()


class EchoConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
    async def connect(self) -> None:
        await self.accept()
        await self.send(f"{self.scope['user']} {self.scope['access_token'].name}")


def run(*starts: str, **names: Any) -> Any:
    """Return a module made of the blocks of the documentation that start like this."""
    module = ModuleType(f"{__name__}_{len(sys.modules)}")
    vars(module).update(names, count_notes=count_notes)
    # Strawberry asks the module of a type for the names in its annotations.
    sys.modules[module.__name__] = module
    for start in starts:
        exec(code_block(start), vars(module))  # noqa: S102  # the documentation's own code
    return module


plain = run("@access_token_required", "class HookView")
anywhere = run("async def handle")
ninja = run("class AccessToken(HttpAuthBase)")
graphql = run("@strawberry.type")
channels = run(
    "class AccessTokenMiddleware",
    "application = ProtocolTypeRouter",
    ProtocolTypeRouter=ProtocolTypeRouter,
    URLRouter=URLRouter,
    get_asgi_application=get_asgi_application,
    websocket_urlpatterns=[path("ws/", EchoConsumer.as_asgi())],
)
adrf = run("class ReportView(APIView)")


# Another way to use Django Ninja: the answers of Django REST framework.
decorated = NinjaAPI(urls_namespace="decorated")


@decorated.get("/me")
@decorate_view(access_token_required(scopes=["reports"]))
def decorated_me(request: Any) -> str:
    return str(request.user.username)


@decorated.get("/async")
@decorate_view(access_token_required(scopes=["reports"]))
async def async_decorated_me(request: Any) -> str:
    return str(request.user.username)


urlpatterns = [
    path("me/", plain.me),
    path("report/", plain.report),
    path("hook/", plain.HookView.as_view()),
    path("ninja/", ninja.api.urls),
    path("decorated/", decorated.urls),
    *graphql.urlpatterns,
    path("async-graphql/", access_token_required(AsyncGraphQLView.as_view(schema=graphql.schema))),
    path("adrf/", adrf.ReportView.as_view()),
]


@pytest.fixture(autouse=True)
def scopes(settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}


Call = Callable[..., Any]


@pytest.fixture(params=["WSGI", "ASGI"])
def call(request: pytest.FixtureRequest) -> Call:
    """Return a function that sends a request, by each of the handlers of Django."""

    def call(method: str, url: str, secret: str | None = None, **extra: Any) -> Any:
        headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
        if request.param == "WSGI":
            client = Client(enforce_csrf_checks=True)
            return getattr(client, method)(url, headers=headers, **extra)
        async_client = AsyncClient(enforce_csrf_checks=True)
        return async_to_sync(getattr(async_client, method))(url, headers=headers, **extra)

    return call


def token_with(user: User, *scopes: str) -> KnownToken:
    return TokenFactory.create(user=user, scopes=scopes)


def is_used(token: Token) -> bool:
    token.refresh_from_db()
    return token.last_used_at is not None


# Views.


@pytest.mark.parametrize(
    ("method", "url", "scope", "other", "expected"),
    [
        ("get", "/me/", "read", "reports", {"username": "ada"}),
        ("get", "/report/", "reports", "write", {"report": 0}),
        ("get", "/ninja/me", "read", "reports", {"username": "ada"}),
        ("post", "/ninja/reports", "reports", "write", {"report": 0}),
        ("get", "/decorated/me", "reports", "write", "ada"),
        ("get", "/decorated/async", "reports", "write", "ada"),
        ("get", "/adrf/", "reports", "write", {"report": 0}),
    ],
)
def test_view_answers_tokens_that_have_its_scope(
    user: User, call: Call, method: str, url: str, scope: str, other: str, expected: Any
) -> None:
    right, wrong = token_with(user, scope), token_with(user, other)

    response = call(method, url, right.secret)
    answer = response.json()
    if "token" in answer:
        assert answer.pop("token") == right.name
    assert (response.status_code, answer) == (200, expected)
    assert call(method, url, wrong.secret).status_code == 403
    for secret in (None, "x", f"{right.secret}x"):
        assert call(method, url, secret).status_code == 401
    assert is_used(right)
    assert is_used(wrong)


@pytest.mark.parametrize("url", ["/me/", "/decorated/me", "/adrf/"])
def test_refusal_has_the_challenge(user: User, call: Call, url: str) -> None:
    assert call("get", url, "x")["WWW-Authenticate"] == INVALID


@pytest.mark.parametrize("url", ["/ninja/me", "/ninja/reports", "/adrf/", "/me/", "/report/"])
def test_session_gives_no_access_unless_the_view_accepts_sessions(
    user: User, client: Client, url: str
) -> None:
    client.force_login(user)
    method = "post" if url == "/ninja/reports" else "get"

    assert getattr(client, method)(url).status_code == (200 if url == "/adrf/" else 401)


def test_class_may_be_decorated(user: User, call: Call) -> None:
    assert call("post", "/hook/", token_with(user, "read").secret).status_code == 403
    assert call("post", "/hook/").status_code == 401


def test_schema_of_ninja_says_how_to_authorize(client: Client) -> None:
    schemes = client.get("/ninja/openapi.json").json()["components"]["securitySchemes"]

    assert schemes == {"AccessToken": {"type": "http", "scheme": "bearer"}}


@pytest.mark.parametrize("url", ["/ninja/me", "/ninja/reports"])
def test_no_frame_of_ninja_holds_the_secret_when_the_database_fails(
    token: KnownToken, call: Call, url: str
) -> None:
    method = "post" if url == "/ninja/reports" else "get"
    with connection.execute_wrapper(break_query), pytest.raises(DatabaseError) as caught:
        call(method, url, token.secret)

    frames = [entry.frame for entry in caught.traceback]
    names = [frame.code.name for frame in frames]
    assert "authenticate" in names
    for frame in frames[names.index("_run_authentication") :]:
        assert token.secret not in str(frame.f_locals)


@pytest.mark.parametrize("url", ["/graphql/", "/async-graphql/"])
def test_graphql_answers_tokens_and_its_resolvers_ask_for_scopes(
    user: User, call: Call, url: str
) -> None:
    def query(field: str, secret: str | None) -> Any:
        data = {"query": f"{{ {field} }}"}
        return call("post", url, secret, data=data, content_type="application/json")

    token = token_with(user, "write")
    assert query("me", token.secret).json()["data"] == {"me": "ada"}
    assert is_used(token)
    (error,) = query("report", token.secret).json()["errors"]
    assert error["message"] == "This access token can't run reports."
    token = token_with(user, "write", "reports")
    assert query("report", token.secret).json()["data"] == {"report": "42"}
    assert query("me", token_with(user, "reports").secret).status_code == 403
    assert query("me", "x").status_code == 401


# Without a request.


def test_task_uses_a_token_without_a_request(token: KnownToken) -> None:
    message = {"token": str(token.secret)}

    assert async_to_sync(anywhere.handle)(message) == "from ada"
    assert message == {}
    assert is_used(token)
    assert async_to_sync(anywhere.handle)({"token": "x"}) == "refused"


def connect(headers: list[tuple[bytes, bytes]]) -> list[Any]:
    """Open a WebSocket and return what the application sends."""

    async def talk() -> list[Any]:
        scope = {"type": "websocket", "path": "/ws/", "headers": headers}
        client: Any = ApplicationCommunicator(channels.application, scope)  # type: ignore[no-untyped-call]  # asgiref
        await client.send_input({"type": "websocket.connect"})
        sent = [await client.receive_output(10)]
        if sent[0]["type"] == "websocket.accept":
            sent.append(await client.receive_output(10))
            await client.send_input({"type": "websocket.disconnect", "code": 1000})
        await client.wait(10)
        return sent

    return async_to_sync(talk)()


# Old connections are closed, and so would be that of a test in a transaction.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}"])
def test_websocket_opens_with_a_token(token: KnownToken, header: str) -> None:
    accepted, message = connect([(b"authorization", header.format(token.secret).encode())])

    assert accepted["type"] == "websocket.accept"
    assert message["text"] == "ada laptop"
    assert is_used(token)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "header", [None, "Bearer x", "Bearer", "{}", "Basic {}", "Bearer {}x", "\xff"]
)
def test_websocket_does_not_open_without_a_token(token: KnownToken, header: str | None) -> None:
    value = header and header.format(token.secret).encode("latin-1")
    (refused,) = connect([(b"authorization", value)] if value else [])

    assert refused["type"] == "websocket.close"
    assert not is_used(token)
