"""The clients of an API: one with a session, and one with a token."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client

from .factories import KnownToken


def session_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def client_of(token: KnownToken) -> Client:
    return Client(headers={"Authorization": bearer(token)})


def bearer(token: KnownToken) -> str:
    return f"Bearer {token.secret}"
