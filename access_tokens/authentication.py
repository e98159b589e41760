"""DRF authentication by ``Authorization: Bearer <token>`` (RFC 6750)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from django.apps import apps
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from .crypto import has_shape
from .exceptions import TokenRejected

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from .models import Token

# A token in the sense of HTTP (RFC 9110, 5.6.2 and 11.1).
SCHEME: Final = re.compile(r"[\w!#$%&'*+.^`|~-]*", re.ASCII)


class AccessTokenAuthentication(BaseAuthentication):
    """Set ``request.user`` to the owner of the token and ``request.auth`` to the ``Token``."""

    keyword = "Bearer"
    realm = "api"

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        """Return the user and the token, or None if the header is missing or another class's.

        Raise ``AuthenticationFailed``, always with the same text, for a token that gives no access.
        """
        if not self.is_addressed(request):
            return None
        # Settings may import this module before the models are ready.
        tokens = apps.get_model("access_tokens", "Token").objects
        try:
            # No variable holds the secret here: an error report would show it.
            token = tokens.authenticate(
                split_header(request)[1],
                # The user of DRF's request would call this method again.
                request=getattr(request, "_request", request),
            )
        except TokenRejected:
            raise AuthenticationFailed(_("Invalid access token.")) from None
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401, with the error code if a token was refused (RFC 6750, 3)."""
        challenge = f'{self.keyword} realm="{self.realm}"'
        authenticator = getattr(request, "successful_authenticator", None)
        if authenticator is None and self.is_addressed(request):
            challenge += ', error="invalid_token"'
        return challenge

    def is_addressed(self, request: Request) -> bool:
        """Return whether the header is for this class.

        Another class of the view may answer to the same scheme. It gets what can't be a secret.
        """
        scheme, value = split_header(request)
        looks_like_secret = has_shape(value)
        del value  # as above
        return scheme.lower() == self.keyword.lower() and (
            looks_like_secret or not self.shares_scheme(request)
        )

    def shares_scheme(self, request: Request) -> bool:
        """Return whether another authentication class of the view answers to the same scheme."""
        schemes = (
            scheme_of(other, request)
            for other in getattr(request, "authenticators", ())
            if not isinstance(other, AccessTokenAuthentication)
        )
        return self.keyword.lower() in schemes


def scheme_of(authentication: BaseAuthentication, request: Request) -> str:
    """Return the scheme that an authentication class answers to, in lower case."""
    try:
        challenge = authentication.authenticate_header(request) or ""
    except Exception:
        return ""  # It may need to have authenticated first.
    return challenge.partition(" ")[0].lower()


def split_header(request: Request) -> tuple[str, str]:
    """Return the scheme of the ``Authorization`` header and what follows it. Both may be empty."""
    header = request.META.get("HTTP_AUTHORIZATION", "").strip(" \t")
    scheme = SCHEME.match(header)[0]  # type: ignore[index]  # matches anything
    return scheme, header[len(scheme) :].lstrip(" ")
