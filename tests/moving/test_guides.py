"""Follow the guides block by block, and check that clients notice nothing.

``tests/test_moving.py`` runs this in a process of its own, since the site has other apps.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shlex
from collections.abc import Iterator
from datetime import timedelta
from textwrap import dedent
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from integrations.management.commands import (  # type: ignore[import-not-found]  # of the guide
    copy_api_tokens,
)
from integrations.models import ApiToken  # type: ignore[import-not-found]  # of the guide
from pytest_django import Settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.test import APIRequestFactory
from rest_framework_api_key.models import APIKey
from rest_framework_api_key.permissions import HasAPIKey

from access_tokens.models import Token

from ..api import WhoView
from ..docs import PAGES, code_block
from ..packages import PACKAGES
from .organizations.models import Key, Organization, OrganizationAPIKey, StaffKey

pytestmark = pytest.mark.django_db(transaction=True)

SETTINGS = ("INSTALLED_APPS", "REST_FRAMEWORK", "ACCESS_TOKENS")


def follow(guide: str, settings: Settings) -> Iterator[str]:
    """Do what the steps of a guide say. Yield each block of code once it is done."""
    steps, _, _ = PAGES[f"moving/{guide}"].partition("## What changes")
    for language, indented in re.findall(r" *```(\w+)\n(.*?)```", steps, re.DOTALL):
        code = dedent(indented)
        if language == "console":
            for line in code.splitlines():
                call_command(*shlex.split(line)[2:])
        elif not code.startswith("# integrations/"):
            namespace = {"INSTALLED_APPS": [*settings.INSTALLED_APPS]}
            exec(code, namespace)  # noqa: S102  # the documentation's own code
            for name in namespace.keys() & set(SETTINGS):
                setattr(settings, name, namespace[name])
        yield code


@pytest.fixture(autouse=True)
def restored(transactional_db: None, settings: Settings) -> Iterator[None]:
    """Create the tables again that a guide drops."""
    apps = settings.INSTALLED_APPS
    settings.ACCESS_TOKENS = {}
    yield
    settings.INSTALLED_APPS = apps
    call_command("migrate", verbosity=0)


def ask(header: str, permission: Any = IsAuthenticated, **extra: Any) -> Any:
    """Return what a view answers under the current settings."""
    view = WhoView.as_view(
        authentication_classes=api_settings.DEFAULT_AUTHENTICATION_CLASSES,
        permission_classes=[permission],
    )
    response = view(APIRequestFactory().get("/", HTTP_AUTHORIZATION=header, **extra))
    return response.data["user"] if response.status_code == 200 else response.status_code


@pytest.mark.parametrize(
    ("package", "table"), [("authtoken", "authtoken_token"), ("knox", "knox_authtoken")]
)
def test_clients_notice_nothing(user: User, settings: Settings, package: str, table: str) -> None:
    secret = PACKAGES[package].issue(user)

    for code in follow(package, settings):
        assert ask(f"Token {secret}") == "ada", code
        assert ask("Token x") == 401, code
    token = user.access_tokens.get()
    assert token.name == "API token"
    assert token.last_used_at is not None
    assert table not in connection.introspection.table_names()
    assert PACKAGES[package].app not in settings.INSTALLED_APPS
    token.delete()
    assert ask(f"Token {secret}") == 401


def test_clients_with_api_keys_notice_nothing(settings: Settings) -> None:
    _, secret = APIKey.objects.create_key(name="CI pipeline")
    permission: Any = HasAPIKey

    for code in follow("api-key", settings):
        if "LEGACY_FORMATS" in code:
            permission = IsAuthenticated
        user = "integrations" if permission is IsAuthenticated else ""
        assert ask(f"Api-Key {secret}", permission) == user, code
        assert ask("Api-Key x", permission) == 401
    owner = User.objects.get(username="integrations")
    assert not owner.has_usable_password()
    assert owner.access_tokens.get().name == "CI pipeline"
    assert "rest_framework_api_key_apikey" not in connection.introspection.table_names()


def test_keys_of_a_model_with_an_owner_go_to_the_owner(user: User) -> None:
    for owner in (user, None):
        organization = Organization._default_manager.create(owner=owner)
        OrganizationAPIKey.objects.create_key(name="CI", organization=organization)

    line = code_block("python manage.py import_access_tokens api-key --model")
    call_command(*shlex.split(line)[2:])
    assert Token.objects.get().user == user


def test_several_keys_of_a_user_are_imported(user: User, capsys: Any) -> None:
    for key in ("a" * 40, "b" * 40):
        Key._default_manager.create(user=user, key=key)

    call_command("import_access_tokens", "authtoken", "--model=organizations.Key")
    names = set(user.access_tokens.values_list("name", flat=True))
    assert len(names) == 2
    assert "authtoken" in names


def test_owner_may_be_a_proxy_of_the_user_model(user: User) -> None:
    StaffKey._default_manager.create(user_id=user.pk, key="a" * 40)

    call_command("import_access_tokens", "authtoken", "--model=organizations.StaffKey")
    assert user.access_tokens.count() == 1


def test_key_in_a_header_of_its_own_is_moved(settings: Settings, user: User) -> None:
    secret = PACKAGES["api-key"].issue(user)
    call_command("import_access_tokens", "api-key", "--user=ada")
    settings.ACCESS_TOKENS = {"LEGACY_FORMATS": ["api-key"]}
    namespace: dict[str, Any] = {}
    exec(code_block("def api_key_header"), namespace)  # noqa: S102  # as above
    request = APIRequestFactory().get("/", HTTP_X_API_KEY=secret)

    response = namespace["api_key_header"](WhoView.as_view())(request)
    assert response.data["user"] == "ada"
    assert (
        namespace["api_key_header"](WhoView.as_view())(APIRequestFactory().get("/")).status_code
        == 401
    )


def test_another_keyword_is_accepted(settings: Settings, user: User) -> None:
    secret = PACKAGES["authtoken"].issue(user)
    call_command("import_access_tokens", "authtoken")
    settings.ACCESS_TOKENS = {"LEGACY_FORMATS": ["authtoken"]}
    namespace: dict[str, Any] = {}
    exec(code_block("class SiteAuthentication"), namespace)  # noqa: S102  # as above
    view = WhoView.as_view(authentication_classes=[namespace["SiteAuthentication"]])

    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Apikey {secret}")
    assert view(request).data["user"] == "ada"


# A model of one's own.


class OwnAuthentication(BaseAuthentication):
    """The class of a site that wrote its own tokens."""

    def authenticate(self, request: Request) -> tuple[User, Any] | None:
        key = request.headers["Authorization"].removeprefix("Token ")
        token = ApiToken.objects.filter(key=key).first()
        return (token.user, token) if token else None


@pytest.mark.parametrize("is_digested", [False, True])
def test_clients_with_tokens_of_the_site_notice_nothing(
    user: User, settings: Settings, monkeypatch: pytest.MonkeyPatch, is_digested: bool
) -> None:
    settings.REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "access_tokens.authentication.AccessTokenAuthentication",
            "tests.moving.test_guides.OwnAuthentication",
        ]
    }
    keys = [secrets.token_hex(20) for _ in range(2)]
    tomorrow = timezone.now() + timedelta(days=1)
    for key in keys:
        ApiToken.objects.create(user=user, label="CI", key=key, expires_at=tomorrow)
    if is_digested:
        copy_of_digests(monkeypatch)

    for code in follow("hand-written", settings):
        for key in keys:
            assert ask(f"Token {key}") == "ada", code
    call_command("copy_api_tokens")
    tokens = user.access_tokens.order_by("pk")
    assert [token.name for token in tokens] == [f"CI {old.pk}" for old in ApiToken.objects.all()]
    for token, key in zip(tokens, keys, strict=True):
        assert token.expires_at == tomorrow
        assert token.partial == f"{key[:4]}…" + ("" if is_digested else key[-4:])


def copy_of_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command copy the columns of a model that stores the SHA-256."""
    digest = property(lambda self: hashlib.sha256(self.key.encode()).hexdigest())
    monkeypatch.setattr(ApiToken, "key_sha256", digest, raising=False)
    start = property(lambda self: self.key[:4])
    monkeypatch.setattr(ApiToken, "key_start", start, raising=False)
    (code,) = re.findall(r"```python\n( *def copy.*?)```", PAGES["moving/hand-written"], re.DOTALL)
    monkeypatch.setattr(copy_api_tokens, "copy", None)  # to restore it
    exec(dedent(code), vars(copy_api_tokens))  # noqa: S102  # as above
