"""How drf-spectacular, if it's installed, describes access tokens in an OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from drf_spectacular.drainage import isolate_view_method, set_override
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerFieldExtension,
    OpenApiViewExtension,
)
from drf_spectacular.plumbing import ResolvedComponent, build_bearer_security_scheme_object
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    inline_serializer,
)
from rest_framework import serializers
from rest_framework.permissions import AllowAny, IsAuthenticatedOrReadOnly
from rest_framework.settings import api_settings

from ..authentication import AccessTokenAuthentication
from ..conf import conf
from ..models import Token
from ..querysets import State
from ..scopes import needed_scopes

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema

NAME: Final = "accessToken"
# For these permissions, drf-spectacular says that authentication is optional.
ANONYMOUS: Final = (AllowAny, IsAuthenticatedOrReadOnly)
STATE: Final = OpenApiParameter("state", enum=list(State), many=True, explode=False)
ERROR: Final = inline_serializer("AccessTokenError", {"detail": serializers.CharField()})


class AccessTokenScheme(OpenApiAuthenticationExtension):
    """The security scheme of ``AccessTokenAuthentication`` and its subclasses."""

    target_class = "access_tokens.authentication.AccessTokenAuthentication"
    match_subclasses = True
    priority = -1  # A site may write its own.

    @property
    def keyword(self) -> str:
        keyword: str = self.target.keyword
        return "Bearer" if keyword.lower() == "bearer" else keyword

    @property
    def name(self) -> str:  # type: ignore[override]  # each keyword is a scheme of its own
        if self.keyword == "Bearer":
            return NAME
        return f"{NAME}-" + re.sub(r"[^\w.-]", "-", self.keyword, flags=re.ASCII)

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        # Subclasses with the same keyword are the same scheme.
        set_override(type(self.target), "suppress_collision_warning", True)
        return build_bearer_security_scheme_object("Authorization", self.keyword)

    def get_security_requirement(self, auto_schema: AutoSchema) -> dict[str, list[str]]:
        if not conf.SCOPES:
            return {self.name: []}
        # Later, since drf-spectacular has already written the description.
        hooks = spectacular_settings.POSTPROCESSING_HOOKS
        if move_scopes not in hooks:
            hooks.append(move_scopes)
        view = auto_schema.view
        required = getattr(view, "required_scopes", None)
        action = getattr(view, "action", None)
        return {self.name: list(needed_scopes(required, auto_schema.method, action))}


def move_scopes(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """In OpenAPI 3.0, which allows scopes for OAuth alone, name them in the descriptions instead."""
    # A site may serve documents of both versions.
    if not result["openapi"].startswith("3.0"):
        return result
    for path in result["paths"].values():
        for operation in path.values():
            scopes = []
            for requirement in operation.get("security", ()):
                for name in requirement:
                    if name.startswith(NAME):
                        scopes, requirement[name] = requirement[name], []
            if scopes:
                names = ", ".join(f"`{scope}`" for scope in scopes)
                description = operation.get("description", "")
                operation["description"] = f"{description}\n\nScopes: {names}".lstrip()
    return result


class TokenStateField(OpenApiSerializerFieldExtension):
    """A component of its own, whatever other fields are called ``state``."""

    target_class = "access_tokens.api.fields.StateField"

    def get_name(self) -> str:
        return "AccessTokenState"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        return {"type": "string", "enum": list(State)}


class TokenScopesField(OpenApiSerializerFieldExtension):
    target_class = "access_tokens.api.fields.ScopesField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        if direction == "response":
            # A token may have scopes that the site no longer has.
            return {"type": "array", "items": {"type": "string"}}
        scope = ResolvedComponent(
            name="AccessTokenScope",
            type=ResolvedComponent.SCHEMA,
            object=type(self.target),
            schema={
                "type": "string",
                "enum": list(conf.SCOPES),
                "description": "\n".join(
                    f"* `{name}`: {conf.SCOPES[name]}" for name in conf.SCOPES
                ),
            },
        )
        auto_schema.registry.register_on_missing(scope)
        return {"type": "array", "items": scope.ref, "minItems": 1}


class TokenViews(OpenApiViewExtension):
    """The REST API of tokens."""

    target_class = "access_tokens.api.views.TokenViewSet"
    match_subclasses = True
    priority = -1

    def view_replacement(self) -> Any:
        view: Any = self.target

        class Described(view):  # type: ignore[misc]  # known at runtime
            __doc__ = view.__doc__
            # The types of the path come from its model. There is no user for get_queryset().
            queryset = Token.objects.none()

            def get_authenticators(self) -> list[Any]:
                return [
                    authenticator
                    for authenticator in super().get_authenticators()
                    if isinstance(authenticator, AccessTokenAuthentication) == self.is_for_token
                ]

            def get_permissions(self) -> list[Any]:
                # Whatever the site allows, anonymous users get nothing.
                return [each for each in super().get_permissions() if type(each) not in ANONYMOUS]

        for name, describe in operations(view).items():
            if getattr(view, name) is not None:
                method = isolate_view_method(Described, name)
                own = getattr(method, "kwargs", {}).pop("schema", None)
                describe(method)
                # What a site says about its subclass takes precedence.
                if own is not None:
                    method.kwargs["schema"] = type("Schema", (own, method.kwargs["schema"]), {})
        return Described


def operations(view: Any) -> dict[str, Callable[[Any], Any]]:
    token, secret = view.serializer_class, view.secret_serializer_class
    tokens = token(many=True)
    token_in_use = view.serializer_classes.get("retrieve_self", token)
    # None rather than False, so that a site may exclude its whole view.
    never = conf.ROTATION_OVERLAP is None or None
    off = never or not conf.SELF_ROTATION or None
    return {
        "list": operation("List your tokens", {200: tokens}, 400, 404, parameters=[STATE]),
        "create": operation("Create a token", {201: secret}, 400),
        "retrieve": operation("Show a token", {200: token}, 404),
        "partial_update": operation("Change a token", {200: token}, 400, 404),
        "destroy": operation("Delete a token", {204: None}, 404),
        "rotate": operation("Rotate a token", {200: secret}, 400, 404, 409, exclude=never),
        "retrieve_self": operation("Show the token in use", {200: token_in_use}),
        "destroy_self": operation("Delete the token in use", {204: None}),
        "rotate_self": operation("Rotate the token in use", {200: secret}, 400, 409, exclude=off),
    }


def operation(
    summary: str, responses: dict[int, Any], *errors: int, **kwargs: Any
) -> Callable[[Any], Any]:
    # A handler of the site may respond in another way.
    if api_settings.EXCEPTION_HANDLER.__module__ == "rest_framework.views":
        for code in sorted({401, 403, *errors}):
            body = OpenApiTypes.OBJECT if code == 400 else ERROR
            responses[code] = OpenApiResponse(body, HTTPStatus(code).phrase)
    return extend_schema(summary=summary, responses=responses, **kwargs)
