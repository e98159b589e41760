from __future__ import annotations

from typing import NamedTuple

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client


class Session(NamedTuple):
    """What a page sends for a user who is logged in."""

    cookie: str
    csrf_token: str


@pytest.fixture
def session(transactional_db: None, user: User) -> Session:
    client = Client()
    client.force_login(user)
    client.get("/single-page/")
    cookies = {name: morsel.value for name, morsel in client.cookies.items()}
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return Session(cookie, cookies[settings.CSRF_COOKIE_NAME])
