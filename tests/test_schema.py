"""The OpenAPI documents that drf-spectacular makes."""

from __future__ import annotations

import json
import sys
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import include, path
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.utils import extend_schema, extend_schema_view
from pytest_django import Settings
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny, IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import CharField, ChoiceField, MultipleChoiceField, Serializer
from rest_framework.settings import api_settings
from rest_framework.viewsets import GenericViewSet

from access_tokens.api.schema import move_scopes
from access_tokens.api.views import TokenViewSet
from access_tokens.authentication import AccessTokenAuthentication
from example_project.serializers import MeSerializer

from .processes import run_python

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
    serializer_class: Any = MeSerializer
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


def schema_of(viewset: type[GenericViewSet[Any]], prefix: str = "me") -> dict[str, Any]:
    """Return the schema of a site with this view alone, and expect no warning."""
    router = SimpleRouter()
    router.register(prefix, viewset, basename="me")
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


def test_site_can_serve_documents_of_both_versions(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    hooks = [*spectacular_settings.POSTPROCESSING_HOOKS]
    monkeypatch.setattr(spectacular_settings, "POSTPROCESSING_HOOKS", hooks)
    for version in ["3.0.3", "3.1.1"]:
        monkeypatch.setattr(spectacular_settings, "OAS_VERSION", version)
        operation = operations(settings)["list"]

    assert operation["security"] == [{"accessToken": ["read"]}, {"cookieAuth": []}]
    assert "description" not in operation


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
@pytest.mark.parametrize("address", ["/api/schema/", "/api/docs/"])
def test_schema_and_swagger_ui_are_served(client: Client, address: str) -> None:
    response = client.get(address)

    assert response.status_code == 200
    assert b"cdn" not in response.content


# The REST API of tokens.


@pytest.fixture
def api(version: str, settings: Settings) -> dict[str, Any]:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES, "SELF_ROTATION": True}
    return schema_with("access_tokens.api.urls")


def schema_with(urls: str) -> dict[str, Any]:
    patterns = [path("tokens/", include(urls))]
    schema: dict[str, Any] = SchemaGenerator(patterns=patterns).get_schema(public=True)
    assert not GENERATOR_STATS, GENERATOR_STATS._warn_cache
    return schema


def endpoints(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the operations by method and path."""
    return {
        f"{method.upper()} {path.removeprefix('/tokens/')}": operation
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    }


def test_session_manages_and_a_token_knows_itself(api: dict[str, Any]) -> None:
    for endpoint, operation in endpoints(api).items():
        name = "accessToken" if " self/" in endpoint else "cookieAuth"
        assert operation["security"] == [{name: []}]
        assert operation["summary"]


@pytest.mark.parametrize("permission", [AllowAny, IsAuthenticatedOrReadOnly])
def test_api_needs_authentication_whatever_the_site_allows(permission: Any, version: str) -> None:
    class Open(TokenViewSet):
        permission_classes = [permission]

    for operations in schema_of(Open)["paths"].values():
        for operation in operations.values():
            assert {} not in operation["security"]


def test_secret_is_only_in_the_answers_to_create_and_rotate(api: dict[str, Any]) -> None:
    schemas = api["components"]["schemas"]
    assert [name for name in schemas if "secret" in schemas[name].get("properties", {})] == [
        "AccessTokenSecret"
    ]
    reference = {"$ref": "#/components/schemas/AccessTokenSecret"}
    revealing = ["POST ", "POST {id}/rotate/", "POST self/rotate/"]
    assert [
        endpoint
        for endpoint, operation in endpoints(api).items()
        for response in operation["responses"].values()
        for content in response.get("content", {}).values()
        if content["schema"] == reference
    ] == revealing
    assert json.dumps(api).count(reference["$ref"]) == len(revealing)


def test_errors_are_described(api: dict[str, Any]) -> None:
    found = {endpoint: [*operation["responses"]] for endpoint, operation in endpoints(api).items()}

    assert found == {
        "GET ": ["200", "400", "401", "403", "404"],
        "POST ": ["201", "400", "401", "403"],
        "GET {id}/": ["200", "401", "403", "404"],
        "PATCH {id}/": ["200", "400", "401", "403", "404"],
        "DELETE {id}/": ["204", "401", "403", "404"],
        "POST {id}/rotate/": ["200", "400", "401", "403", "404", "409"],
        "GET self/": ["200", "401", "403"],
        "DELETE self/": ["204", "401", "403"],
        "POST self/rotate/": ["200", "400", "401", "403", "409"],
    }


def test_errors_of_a_handler_of_the_site_are_not_described(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_settings, "EXCEPTION_HANDLER", lambda exc, context: None)

    for operation in endpoints(schema_with("access_tokens.api.urls")).values():
        assert len(operation["responses"]) == 1


def test_rotation_that_is_off_is_not_described(version: str, settings: Settings) -> None:
    assert "POST self/rotate/" not in endpoints(schema_with("access_tokens.api.urls"))

    settings.ACCESS_TOKENS = {"ROTATION_OVERLAP": None, "SELF_ROTATION": True}
    found = endpoints(schema_with("access_tokens.api.urls"))
    assert not [endpoint for endpoint in found if "rotate" in endpoint]


def test_names_of_the_site_do_not_clash(version: str, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}

    class TokenSerializer(Serializer[Any]):
        token = CharField()
        state = ChoiceField(choices=["open", "closed"])
        scopes = MultipleChoiceField(choices=["near", "far"])

    class SiteViewSet(MeViewSet):
        serializer_class = TokenSerializer

    router = SimpleRouter()
    router.register("me", SiteViewSet, basename="me")
    urls: Any = (router.urls, "site")
    patterns = [path("tokens/", include("access_tokens.api.urls")), path("", include(urls))]
    schema = SchemaGenerator(patterns=patterns).get_schema(public=True)
    assert not GENERATOR_STATS, GENERATOR_STATS._warn_cache
    assert {"Token", "AccessToken", "StateEnum", "AccessTokenState"} <= schema["components"][
        "schemas"
    ].keys()


def test_scopes_of_a_new_token_are_those_of_the_site(api: dict[str, Any]) -> None:
    schemas = api["components"]["schemas"]

    assert schemas["AccessTokenScope"]["enum"] == ["read", "write", "reports"]
    assert schemas["AccessTokenScope"]["description"].endswith("* `reports`: Run reports")
    # A token may have scopes that the site no longer has.
    assert schemas["AccessToken"]["properties"]["scopes"]["items"] == {"type": "string"}


def test_site_can_describe_its_subclass_itself(version: str) -> None:
    class Own(TokenViewSet):
        @extend_schema(summary="Ask for a token", responses={202: None})
        def create(self, *args: Any, **kwargs: Any) -> Response:
            raise NotImplementedError

    operations = schema_of(Own)["paths"]["/me/"]
    assert operations["post"]["summary"] == "Ask for a token"
    assert [*operations["post"]["responses"]] == ["202"]
    assert operations["get"]["summary"] == "List your tokens"


def test_site_can_describe_a_part_of_its_subclass(version: str) -> None:
    @extend_schema_view(create=extend_schema(tags=["a"]), rotate=extend_schema(summary="Renew"))
    @extend_schema(tags=["b"])
    class Own(TokenViewSet):
        pass

    schema = schema_of(Own)
    create = schema["paths"]["/me/"]["post"]
    rotate = schema["paths"]["/me/{id}/rotate/"]["post"]
    assert (create["tags"], create["summary"]) == (["a"], "Create a token")
    assert (rotate["tags"], rotate["summary"]) == (["b"], "Renew")
    secret = {"$ref": "#/components/schemas/AccessTokenSecret"}
    assert create["responses"]["201"]["content"]["application/json"]["schema"] == secret
    assert rotate["responses"]["200"]["content"]["application/json"]["schema"] == secret


def test_site_can_leave_an_action_out(version: str) -> None:
    class Own(TokenViewSet):
        rotate: Any = None
        serializer_classes: Any = {}

    assert "/me/{id}/rotate/" not in schema_of(Own)["paths"]


def test_site_can_leave_the_api_out(version: str, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SELF_ROTATION": True}

    @extend_schema(exclude=True)
    class Own(TokenViewSet):
        pass

    assert not schema_of(Own)["paths"]


def test_type_of_a_user_in_the_path_is_known(version: str) -> None:
    schema = schema_of(TokenViewSet, r"users/(?P<user_pk>[^/.]+)/tokens")

    operation = schema["paths"]["/users/{user_pk}/tokens/"]["get"]
    types = {parameter["name"]: parameter["schema"] for parameter in operation["parameters"]}
    assert types["user_pk"] == {"type": "integer"}


# Sites without drf-spectacular.


def test_nothing_is_imported_where_drf_spectacular_is_missing() -> None:
    run_python("-W", "error", "-c", WITHOUT_SPECTACULAR)


def test_nothing_is_imported_where_drf_spectacular_is_not_installed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "access_tokens.api.schema")

    settings.INSTALLED_APPS = [
        app for app in settings.INSTALLED_APPS if not app.startswith("drf_spectacular")
    ]

    assert "access_tokens.api.schema" not in sys.modules
