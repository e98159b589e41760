"""The example project answers as its OpenAPI document says, whatever schemathesis sends."""

from __future__ import annotations

from typing import Any

import schemathesis
from django.contrib.auth.models import User
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from pytest_django.live_server_helper import LiveServer
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.factories import TokenFactory

from .conftest import Session

openapi = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(public=True))
thoroughly = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
# Django REST framework accepts the number 1 as a string, and a site refuses more than a schema can say.
STRICTER: list[Any] = [negative_data_rejection, positive_data_acceptance]


@openapi.include(path_regex="^/api/tokens/").exclude(path_regex="/self/").parametrize()
@thoroughly
def test_session_manages_tokens(
    case: schemathesis.Case[Any], live_server: LiveServer, user: User, session: Session
) -> None:
    if "id" in case.path_parameters:
        if case.meta is not None and case.meta.is_negative_at(ParameterLocation.PATH):
            return  # There is no such path, which Django itself says.
        case.path_parameters["id"] = TokenFactory.create(user=user).pk
    headers = {"Cookie": session.cookie, "X-CSRFToken": session.csrf_token}
    case.call_and_validate(live_server.url, headers=headers, excluded_checks=STRICTER)


@openapi.exclude(path_regex="^/api/tokens/(?!self/)").exclude(path="/api/error/").parametrize()
@thoroughly
def test_token_uses_the_api(
    case: schemathesis.Case[Any], live_server: LiveServer, user: User
) -> None:
    # Each time a new one, since it may delete itself.
    token = TokenFactory.create(user=user)
    headers = {"Authorization": f"Bearer {token.secret}"}
    case.call_and_validate(live_server.url, headers=headers, excluded_checks=STRICTER)
