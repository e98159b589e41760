"""DRF authentication by ``Authorization: Bearer <token>`` (RFC 6750)."""

from __future__ import annotations

import string
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, ErrorDetail
from rest_framework.request import Request

from .exceptions import TokenRejected
from .last_used import record_use
from .models import Token

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# A scheme is a token in the sense of HTTP (RFC 9110, 5.6.2 and 11.1).
SCHEME_CHARACTERS: Final = string.digits + string.ascii_letters + "!#$%&'*+-.^_`|~"


class InvalidToken(AuthenticationFailed):
    """The 401 of a token that gives no access, in the same words for every reason.

    They are translated when ``detail`` is read, which is when the response is made.
    """

    default_detail = _("Invalid access token.")

    def __init__(self, detail: Any = None, code: str | None = None) -> None:
        # The base class would translate the default here.
        if detail is not None:
            super().__init__(detail, code)

    @cached_property
    def detail(self) -> ErrorDetail:  # type: ignore[override]  # a variable in the base class
        return ErrorDetail(str(self.default_detail), self.default_code)


class AccessTokenAuthentication(BaseAuthentication):
    """Make ``request.user`` the owner of the token and ``request.auth`` the ``Token``."""

    keyword = "Bearer"
    realm = "api"

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        """Return the user and the token, or None if the header is missing or of another scheme.

        Raise ``InvalidToken`` for anything else.
        """
        if not self.is_addressed(request):
            return None
        try:
            # No variable holds the secret here: an error report would show it.
            token = Token.objects.verify(split_header(request)[1], request=request._request)
        except TokenRejected:
            raise InvalidToken from None
        record_use(token, request._request)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401, with the error code if a token was refused (RFC 6750, 3)."""
        challenge = f'{self.keyword} realm="{self.realm}"'
        if self.is_addressed(request) and request.successful_authenticator is None:
            challenge += ', error="invalid_token"'
        return challenge

    def is_addressed(self, request: Request) -> bool:
        """Tell whether the header is of our scheme, well-formed or not."""
        return split_header(request)[0].lower() == self.keyword.lower()


def split_header(request: Request) -> tuple[str, str]:
    """Return the scheme of the ``Authorization`` header and what follows it, maybe both empty."""
    header = request._request.META.get("HTTP_AUTHORIZATION", "").strip(" \t")
    rest = header.lstrip(SCHEME_CHARACTERS)
    return header[: len(header) - len(rest)], rest.lstrip(" ")
