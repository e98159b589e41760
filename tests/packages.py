"""Tokens of other packages, made by these packages."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from django.contrib.auth.models import User
from knox.models import AuthToken
from rest_framework.authtoken.models import Token as Key
from rest_framework_api_key.models import APIKey


class Package(NamedTuple):
    """How a package makes a token, what it stores and how a client sends it."""

    name: str
    app: str
    keyword: str
    issue: Callable[[User], str]
    # What the command needs to know.
    options: tuple[str, ...] = ()


PACKAGES = {
    "authtoken": Package(
        "authtoken",
        "rest_framework.authtoken",
        "Token",
        lambda user: str(Key.objects.create(user=user).key),
    ),
    "knox": Package(
        "knox", "knox", "Token", lambda user: str(AuthToken.objects.create(user, expiry=None)[1])
    ),
    "knox with a prefix": Package(
        "knox",
        "knox",
        "Token",
        lambda user: str(AuthToken.objects.create(user, expiry=None, prefix="my-site_1:")[1]),
    ),
    "api-key": Package(
        "api-key",
        "rest_framework_api_key",
        "Api-Key",
        lambda user: str(APIKey.objects.create_key(name="CI pipeline")[1]),
        ("--user=ada",),
    ),
}
