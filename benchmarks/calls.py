"""The calls that are measured."""

from contextlib import suppress
from itertools import cycle
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.urls import path
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from .measure import Call
from .peers import ACCESS_TOKENS, Peer
from .settings import Router


def http_request(credential: str) -> Any:
    return APIRequestFactory().get("/", headers={"Authorization": credential})


def authentication(peer: Peer, *credentials: str, using: str = "default") -> Call:
    """Return a call of ``authenticate()``; ``credentials`` take turns."""
    authenticate = peer.authentication().authenticate
    requests = cycle([Request(http_request(credential)) for credential in credentials])

    def call() -> None:
        Router.alias = using
        with suppress(AuthenticationFailed):
            authenticate(next(requests))

    return call


class View(APIView):
    permission_classes = []

    def get(self, request: Request) -> Response:
        return Response({"detail": "Hello"})


def whole_view(peer: Peer, credential: str) -> Call:
    """Return a call of a view, from the request to the rendered response."""
    view = View.as_view(authentication_classes=[peer.authentication])
    request = http_request(credential)
    return lambda: view(request).render()


# For whole_site().
urlpatterns = [path("", View.as_view(authentication_classes=[ACCESS_TOKENS.authentication]))]


def whole_site(credential: str, requests: int) -> Call:
    """Return a call that sends requests through Django's handler, as a server does."""
    handler: Any = WSGIHandler()
    environ = http_request(credential).environ

    def call() -> None:
        for _ in range(requests):
            response = handler(environ.copy(), lambda *args: None)
            response.close()
            if response.status_code != 200:
                raise RuntimeError(f"The view answers {response.status_code}.")

    return call
