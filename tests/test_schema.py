"""The OpenAPI documents that drf-spectacular makes."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import spectacular_settings
from pytest_django import Settings
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import GenericViewSet

from access_tokens.api.schema import move_scopes
from access_tokens.authentication import AccessTokenAuthentication
from example_project.serializers import MeSerializer

from .test_imports import ROOT

SCOPES = {"read": "Read", "write": "Read and write", "reports": "Run reports"}
WITHOUT_SPECTACULAR = """
import sys

sys.modules["drf_spectacular"] = None
from django.conf import settings

settings.configure(
    INSTALLED_APPS=[
        "django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "access_tokens",
    ],
)
import django

django.setup()
import access_tokens.authentication

assert "access_tokens.api.schema" not in sys.modules
"""


class TokenWord(AccessTokenAuthentication):
    keyword = "Token"


class OddWord(AccessTokenAuthentication):
    keyword = "x!y"


class LowerCase(AccessTokenAuthentication):
    keyword = "bearer"


class MeViewSet(GenericViewSet[Any]):
    serializer_class = MeSerializer
    authentication_classes: Any = [AccessTokenAuthentication, SessionAuthentication]
    required_scopes: Any = {"mine": ["read", "reports"], "DELETE": []}

    def list(self, request: Request) -> Response:
        raise NotImplementedError

    def create(self, request: Request) -> Response:
        """Make one."""
        raise NotImplementedError

    @action(detail=False)
    def mine(self, request: Request) -> Response:
        raise NotImplementedError

    @mine.mapping.delete
    def forget(self, request: Request) -> Response:
        raise NotImplementedError


@pytest.fixture(params=["3.0.3", "3.1.1"])
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    hooks = [*spectacular_settings.POSTPROCESSING_HOOKS]
    monkeypatch.setattr(spectacular_settings, "POSTPROCESSING_HOOKS", hooks)
    monkeypatch.setattr(spectacular_settings, "OAS_VERSION", request.param)
    return str(request.param)


def schema_of(viewset: type[GenericViewSet[Any]]) -> dict[str, Any]:
    """Return the schema of a site with this view alone, and expect no warning."""
    router = SimpleRouter()
    router.register("me", viewset, basename="me")
    schema: dict[str, Any] = SchemaGenerator(patterns=router.urls).get_schema(public=True)
    assert not GENERATOR_STATS, GENERATOR_STATS._warn_cache
    return schema


# The scheme.


def test_scheme_is_known_without_a_line_by_the_site(version: str) -> None:
    schema = schema_of(MeViewSet)

    assert schema["openapi"] == version
    assert schema["components"]["securitySchemes"]["accessToken"] == {
        "type": "http",
        "scheme": "bearer",
    }
    assert schema["paths"]["/me/"]["get"]["security"] == [{"accessToken": []}, {"cookieAuth": []}]


def test_site_can_describe_the_scheme_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        OpenApiAuthenticationExtension, "_registry", [*OpenApiAuthenticationExtension._registry]
    )

    class OwnScheme(OpenApiAuthenticationExtension):
        target_class = AccessTokenAuthentication
        name = "own"

        def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
            return {"type": "http", "scheme": "bearer"}

    assert "own" in schema_of(MeViewSet)["components"]["securitySchemes"]


def test_subclass_with_another_word_is_a_scheme_of_its_own(version: str) -> None:
    class ManyWords(MeViewSet):
        authentication_classes = [LowerCase, AccessTokenAuthentication, TokenWord, OddWord]

    schemes = schema_of(ManyWords)["components"]["securitySchemes"]

    assert list(schemes) == ["accessToken", "accessToken-Token", "accessToken-x-y"]
    assert schemes["accessToken"] == {"type": "http", "scheme": "bearer"}
    for name, word in [("accessToken-Token", "Token"), ("accessToken-x-y", "x!y")]:
        scheme = schemes[name]
        assert (scheme["type"], scheme["in"], scheme["name"]) == (
            "apiKey",
            "header",
            "Authorization",
        )
        assert word in scheme["description"]


# The scopes.


def operations(settings: Settings) -> dict[str, Any]:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}
    paths = schema_of(MeViewSet)["paths"]
    return {
        "list": paths["/me/"]["get"],
        "create": paths["/me/"]["post"],
        "mine": paths["/me/mine/"]["get"],
        "forget": paths["/me/mine/"]["delete"],
    }


NEEDED = [("list", ["read"]), ("create", ["write"]), ("mine", ["read", "reports"]), ("forget", [])]


@pytest.mark.parametrize("version", ["3.1.1"], indirect=True)
def test_scopes_are_in_the_requirement(version: str, settings: Settings) -> None:
    for name, operation in operations(settings).items():
        assert operation["security"] == [{"accessToken": dict(NEEDED)[name]}, {"cookieAuth": []}]
        assert "Scopes" not in operation.get("description", "")


@pytest.mark.parametrize("version", ["3.0.3"], indirect=True)
def test_scopes_are_in_the_description_where_the_requirement_may_have_none(
    version: str, settings: Settings
) -> None:
    found = operations(settings)

    assert {name: operation.get("description") for name, operation in found.items()} == {
        "list": "Scopes: `read`",
        "create": "Make one.\n\nScopes: `write`",
        "mine": "Scopes: `read`, `reports`",
        "forget": None,
    }
    for operation in found.values():
        assert operation["security"] == [{"accessToken": []}, {"cookieAuth": []}]
    assert operations(settings) == found
    assert spectacular_settings.POSTPROCESSING_HOOKS.count(move_scopes) == 1


@pytest.mark.parametrize("version", ["3.0.3"], indirect=True)
def test_description_names_the_scopes_once(version: str, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}

    class TwoWords(MeViewSet):
        authentication_classes = [AccessTokenAuthentication, TokenWord]

    operation = schema_of(TwoWords)["paths"]["/me/"]["get"]
    assert operation["description"] == "Scopes: `read`"
    assert operation["security"] == [{"accessToken": []}, {"accessToken-Token": []}]


def test_without_scopes_nothing_is_said_of_them(version: str) -> None:
    assert schema_of(MeViewSet)["paths"]["/me/mine/"]["get"]["security"][0] == {"accessToken": []}


# The example project.


@pytest.mark.parametrize("scopes", [{}, SCOPES], ids=["no_scopes", "scopes"])
def test_schema_of_the_example_project_is_valid(
    version: str, scopes: dict[str, str], settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": scopes}

    call_command("spectacular", validate=True, fail_on_warn=True, stdout=StringIO())


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/schema/", "/api/docs/"])
def test_schema_and_swagger_ui_are_served(client: Client, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 200
    assert b"cdn" not in response.content


# Sites without drf-spectacular.


def test_nothing_is_imported_where_drf_spectacular_is_missing() -> None:
    command = [sys.executable, "-W", "error", "-c", WITHOUT_SPECTACULAR]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 0, result.stderr
