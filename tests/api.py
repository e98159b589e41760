"""A small API whose views do what a test needs, and three servers for it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from django.urls import include, path
from django.utils.decorators import method_decorator
from pytest_django.live_server_helper import LiveServer
from rest_framework import exceptions
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access_tokens.authentication import AccessTokenAuthentication
from access_tokens.models import Token

ERRORS: dict[int, Exception] = {
    400: ValidationError("No."),
    403: PermissionDenied(),
    404: Http404(),
    500: RuntimeError("No."),
}


def run() -> Any:
    """Return what a view answers; a test puts another function in this place."""


class WhoView(APIView):
    def get(self, request: Request) -> Response:
        assert request.user == request._request.user
        name = request.auth.name if isinstance(request.auth, Token) else None
        return Response({"user": request.user.get_username(), "token": name})

    post = get


class OpenView(WhoView):
    permission_classes = [AllowAny]


class KeywordAuthentication(AccessTokenAuthentication):
    keyword = "Token"


class KeywordView(WhoView):
    authentication_classes = [KeywordAuthentication]


class CheckingAuthentication(AccessTokenAuthentication):
    """Refuse a token that has the name of an error."""

    errors: dict[str, Exception] = {
        "AuthenticationFailed": AuthenticationFailed("No."),
        "PermissionDenied": exceptions.PermissionDenied("No."),
        "PermissionDenied of Django": PermissionDenied("No."),
    }

    def check_token(self, token: Token, request: Request) -> None:
        if token.name in self.errors:
            raise self.errors[token.name]


class CheckingView(WhoView):
    authentication_classes = [CheckingAuthentication, SessionAuthentication]


class RefusingView(APIView):
    def get(self, request: Request) -> Response:
        raise AuthenticationFailed


class StatusView(APIView):
    def get(self, request: Request, status: int) -> Response:
        if status in ERRORS:
            raise ERRORS[status]
        return Response(status=status)


class RunView(APIView):
    def get(self, request: Request) -> Response:
        return Response(run())


class OpenRunView(RunView):
    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]


@method_decorator(transaction.atomic, name="dispatch")
class AtomicView(RunView):
    pass


@method_decorator(transaction.non_atomic_requests, name="dispatch")
class NonAtomicView(RunView):
    pass


class StreamView(APIView):
    def get(self, request: Request) -> StreamingHttpResponse:
        return StreamingHttpResponse(str(part) for part in range(3))


def plain_view(request: HttpRequest) -> HttpResponse:
    """Accept tokens without Django REST framework."""
    secret = request.headers["Authorization"].removeprefix("Bearer ")
    token = Token.objects.authenticate(secret, request)
    return HttpResponse(token.user.get_username())


urlpatterns = [
    path("who/", WhoView.as_view()),
    path("open/", OpenView.as_view()),
    path("keyword/", KeywordView.as_view()),
    path("checking/", CheckingView.as_view()),
    path("refusing/", RefusingView.as_view()),
    path("status/<int:status>/", StatusView.as_view()),
    path("run/", RunView.as_view()),
    path("open/run/", OpenRunView.as_view()),
    path("atomic/", AtomicView.as_view()),
    path("non-atomic/", NonAtomicView.as_view()),
    path("stream/", StreamView.as_view()),
    path("plain/", plain_view),
    path("tokens/", include("access_tokens.api.urls")),
]


@contextmanager
def opened_connections() -> Iterator[list[BaseDatabaseWrapper]]:
    """Collect the connections to databases that any thread opens."""
    opened: list[BaseDatabaseWrapper] = []

    def collect(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
        opened.append(connection)

    connection_created.connect(collect)
    try:
        yield opened
    finally:
        connection_created.disconnect(collect)
        for connection in opened:
            # Django does not close what is in memory.
            if connection.vendor == "sqlite" and connection.connection is not None:
                connection.connection.close()


async def patient_client() -> AsyncIterator[Any]:
    """Send a request and wait for its answer."""
    yield {"type": "http.request"}
    await asyncio.get_running_loop().create_future()


def call_asgi(
    path: str, header: bytes, client: Callable[[], AsyncIterator[Any]] = patient_client
) -> tuple[int | None, dict[bytes, bytes]]:
    """Call the handler of Django as an ASGI server does; return the status, if sent, and headers."""
    sent: list[Any] = []
    messages = client()

    async def receive() -> Any:
        return await anext(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"authorization", header)],
    }
    with opened_connections():
        # A server does not know the context of a test.
        Context().run(asyncio.run, ASGIHandler()(scope, receive, send))
    return (sent[0]["status"], dict(sent[0]["headers"])) if sent else (None, {})


def call_wsgi(path: str, header: str) -> int:
    """Call the handler of Django as a WSGI server does in one of its threads."""
    statuses: list[str] = []

    def start_response(status: str, *args: Any) -> Callable[[bytes], object]:
        statuses.append(status)
        return bytes

    environ = RequestFactory().get(path, HTTP_AUTHORIZATION=header).environ
    response = WSGIHandler()(environ, start_response)
    try:
        b"".join(response)
    finally:
        response.close()
    return int(statuses[0].split()[0])


def call_live_server(server: LiveServer, path: str, lines: list[bytes]) -> int:
    """Send header lines as they stand, wait until the server has done with them, return the status."""
    head = f"GET {path} HTTP/1.1".encode()
    request = [head, b"Host: localhost", b"Connection: close", *lines, b"", b""]
    with socket.create_connection((server.thread.host, server.thread.port), timeout=10) as wire:
        wire.sendall(b"\r\n".join(request))
        answer = wire.makefile("rb").read()
    return int(answer.split()[1])
