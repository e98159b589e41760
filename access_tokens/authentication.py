"""DRF authentication by ``Authorization: Bearer <token>`` (RFC 6750)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.apps import apps
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, Throttled
from rest_framework.request import Request

from .crypto import has_shape
from .exceptions import TokenRejected
from .headers import KEYWORD, REALM, challenge, split_header
from .last_used import record_use
from .legacy import format_of, is_keyword
from .scopes import lack_of, log_missing, missing_scopes, needed_scopes

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from .models import Token


class InsufficientScope(PermissionDenied):
    """The 403 of a token that lacks ``scopes``, with the challenge of RFC 6750, 3.1."""

    default_code = "insufficient_scope"

    def __init__(self, scopes: Sequence[str], auth_header: str) -> None:
        super().__init__(lack_of(scopes))
        # DRF's exception handler makes it the header WWW-Authenticate.
        self.auth_header = auth_header


class AccessTokenAuthentication(BaseAuthentication):
    """Set ``request.user`` to the owner of the token and ``request.auth`` to the ``Token``."""

    keyword: str = KEYWORD
    # What else the header may start with, beside the keywords of LEGACY_FORMATS.
    legacy_keywords: Sequence[str] = ()
    realm: str = REALM

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        """Return the user and the token, or None if the header is missing or for another class.

        Raise ``AuthenticationFailed``, always with the same text, for a token that gives no access,
        and ``InsufficientScope`` for one that lacks a scope that the view needs.
        """
        if not self.is_addressed(request):
            return None
        # Settings may import this module before the models are ready.
        tokens = apps.get_model("access_tokens", "Token").objects
        # The user of DRF's request would call this method again.
        http_request = getattr(request, "_request", request)
        try:
            # No variable holds the secret here: an error report would show it.
            token = tokens.verify(split_header(request)[1], request=http_request)
        except TokenRejected as rejection:
            if rejection.retry_after is not None:
                raise Throttled(rejection.retry_after) from None
            raise AuthenticationFailed(_("Invalid access token.")) from None
        self.check_token(token, request)
        record_use(token, http_request)
        if token.scopes is not None:
            self.check_scopes(token, request)
        return token.user, token

    def check_token(self, token: Token, request: Request) -> None:
        """Let a subclass refuse a token before its use is recorded.

        It may raise ``AuthenticationFailed`` or ``PermissionDenied``.
        """

    def check_scopes(self, token: Token, request: Request) -> None:
        """Raise ``InsufficientScope`` if ``token`` lacks a scope that the view needs."""
        # Here rather than in a permission class, which a view may replace.
        view = getattr(request, "parser_context", {}).get("view")
        needed = needed_scopes(
            getattr(view, "required_scopes", None),
            request.method or "",
            getattr(view, "action", None),
        )
        missing = missing_scopes(token.scopes, needed)
        if missing:
            log_missing(token, missing)
            parameters = {"error": "insufficient_scope", "scope": " ".join(needed)}
            raise InsufficientScope(missing, challenge(self.keyword, self.realm, **parameters))

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401, with the error code if a token was refused (RFC 6750, 3)."""
        authenticator = getattr(request, "successful_authenticator", None)
        is_refused = authenticator is None and self.is_addressed(request)
        parameters = {"error": "invalid_token"} if is_refused else {}
        return challenge(self.keyword, self.realm, **parameters)

    def is_addressed(self, request: Request) -> bool:
        """Return whether the header is for this class.

        Another class of the view may answer to the same scheme. It gets what can't be a secret.
        """
        scheme, value = split_header(request)
        looks_like_secret = has_shape(value)
        del value  # as above
        scheme = scheme.lower()
        return self.answers_to(scheme) and (
            looks_like_secret
            or format_of(split_header(request)[1]) is not None
            or not self.shares_scheme(scheme, request)
        )

    def answers_to(self, scheme: str) -> bool:
        """Return whether a scheme, in lower case, is one of this class."""
        return scheme == self.keyword.lower() or (
            scheme != "" and (scheme in map(str.lower, self.legacy_keywords) or is_keyword(scheme))
        )

    def shares_scheme(self, scheme: str, request: Request) -> bool:
        """Return whether another authentication class of the view answers to ``scheme``."""
        schemes = (
            scheme_of(other, request)
            for other in getattr(request, "authenticators", ())
            if not isinstance(other, AccessTokenAuthentication)
        )
        return scheme in schemes


def scheme_of(authentication: BaseAuthentication, request: Request) -> str:
    """Return the scheme that an authentication class answers to, in lower case."""
    try:
        header = authentication.authenticate_header(request) or ""
    except Exception:
        return ""  # It may need to have authenticated first.
    return header.partition(" ")[0].lower()
