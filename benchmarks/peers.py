"""Who is compared. A peer is one entry: its class, and how it issues a credential."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import knox.auth
import knox.models
import rest_framework.authentication
import rest_framework.authtoken.models
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.utils.crypto import get_random_string
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_api_key.models import APIKey
from rest_framework_api_key.permissions import HasAPIKey
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import AccessToken

from access_tokens.authentication import AccessTokenAuthentication
from access_tokens.models import Token

from .databases import create_users


class APIKeyAuthentication(BaseAuthentication):
    """The permission of djangorestframework-api-key, asked as if it were an authentication."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, None]:
        if not HasAPIKey().has_permission(request, None):
            raise AuthenticationFailed
        return AnonymousUser(), None


@dataclass(frozen=True)
class Peer:
    name: str
    distribution: str
    authentication: type[BaseAuthentication]
    # Returns the value of the header ``Authorization``.
    issue: Callable[[User], str]

    def valid(self) -> str:
        return self.issue(create_users(1)[0])

    def unknown(self) -> str:
        """Return a credential that is as it should be, but whose row and user are gone."""
        user = create_users(1)[0]
        with transaction.atomic():
            credential = self.issue(user)
            transaction.set_rollback(True)
        user.delete()
        return credential

    def mistyped(self) -> str:
        """Return a credential that would be valid but for one character."""
        credential = self.valid()
        wrong = "b" if credential[-10] == "a" else "a"
        return credential[:-10] + wrong + credential[-9:]


ACCESS_TOKENS = Peer(
    "access_tokens",
    "drf-access-tokens",
    AccessTokenAuthentication,
    lambda user: f"Bearer {Token.objects.create_token(user=user, name=get_random_string(12))[1]}",
)

REFERENCE = Peer(
    "DRF authtoken",
    "djangorestframework",
    rest_framework.authentication.TokenAuthentication,
    lambda user: f"Token {rest_framework.authtoken.models.Token.objects.create(user=user).key}",
)

PEERS = [
    REFERENCE,
    ACCESS_TOKENS,
    Peer(
        "knox",
        "django-rest-knox",
        knox.auth.TokenAuthentication,
        lambda user: f"Token {knox.models.AuthToken.objects.create(user)[1]}",
    ),
    Peer(
        "api-key",
        "djangorestframework-api-key",
        APIKeyAuthentication,
        lambda user: f"Api-Key {APIKey.objects.create_key(name=user.username)[1]}",
    ),
    Peer(
        "simplejwt",
        "djangorestframework-simplejwt",
        JWTAuthentication,
        lambda user: f"Bearer {AccessToken.for_user(user)}",
    ),
]
