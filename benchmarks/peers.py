"""The packages that are compared."""

from collections.abc import Callable
from typing import NamedTuple

from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.utils.crypto import get_random_string
from knox.auth import TokenAuthentication as KnoxAuthentication
from knox.models import AuthToken
from rest_framework.authentication import BaseAuthentication, TokenAuthentication
from rest_framework.authtoken.models import Token as Key
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_api_key.models import APIKey
from rest_framework_api_key.permissions import HasAPIKey
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import AccessToken

from access_tokens.authentication import AccessTokenAuthentication
from access_tokens.models import Token


class APIKeyAuthentication(BaseAuthentication):
    """The permission of djangorestframework-api-key as an authentication class."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, None]:
        if not HasAPIKey().has_permission(request, None):
            raise AuthenticationFailed
        return AnonymousUser(), None


class Peer(NamedTuple):
    name: str
    authentication: type[BaseAuthentication]
    # Returns a new credential of a user: the value of the Authorization header.
    issue: Callable[[User], str]

    def valid(self) -> str:
        return self.issue(create_user())

    def unknown(self) -> str:
        """Return a well-formed credential whose row and user don't exist."""
        user = create_user()
        with transaction.atomic():
            credential = self.issue(user)
            transaction.set_rollback(True)
        user.delete()
        return credential

    def mistyped(self) -> str:
        """Return a credential with one wrong character."""
        credential = self.valid()
        wrong = "b" if credential[-10] == "a" else "a"
        return credential[:-10] + wrong + credential[-9:]


def create_user() -> User:
    return User.objects.create(username=get_random_string(12))


def bearer(user: User, scopes: list[str] | None = None) -> str:
    return f"Bearer {Token.objects.create_token(user=user, name='benchmark', scopes=scopes)[1]}"


def old_bearer(user: User) -> str:
    """Return a credential from before a rotation."""
    credential = bearer(user)
    Token.objects.rotate(user.access_tokens.get())
    return credential


REFERENCE = Peer(
    "DRF authtoken",
    TokenAuthentication,
    lambda user: f"Token {Key.objects.create(user=user).key}",
)

ACCESS_TOKENS = Peer("access_tokens", AccessTokenAuthentication, bearer)
SCOPED = ACCESS_TOKENS._replace(issue=lambda user: bearer(user, ["read"]))
ROTATED = ACCESS_TOKENS._replace(issue=old_bearer)

PEERS = [
    REFERENCE,
    ACCESS_TOKENS,
    Peer("knox", KnoxAuthentication, lambda user: f"Token {AuthToken.objects.create(user)[1]}"),
    Peer(
        "api-key",
        APIKeyAuthentication,
        lambda user: f"Api-Key {APIKey.objects.create_key(name=user.username)[1]}",
    ),
    Peer("simplejwt", JWTAuthentication, lambda user: f"Bearer {AccessToken.for_user(user)}"),
]
