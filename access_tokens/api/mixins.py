from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, ProgrammingError
from django.utils.cache import add_never_cache_headers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from ..authentication import AccessTokenAuthentication
from ..models import Token
from ..querysets import DIGESTS, TokenQuerySet
from .exceptions import TokenNotAllowed, TokenRequired, api_exception
from .parsers import GuardedParser

if TYPE_CHECKING:
    from rest_framework.viewsets import GenericViewSet

    ViewSet = GenericViewSet[Token]
else:
    ViewSet = object


class OwnTokensMixin(ViewSet):
    """Limit a view to the user's own tokens, and keep its responses private."""

    # Whether the view requires a token. Otherwise it refuses one.
    is_for_token = False
    # The check below decides that, whatever the scopes of the token are.
    required_scopes: Any = ()
    # The API has no versions, whatever versions the site has.
    versioning_class = None

    def check_permissions(self, request: Request) -> None:
        # Here rather than in a permission class, which a subclass or an action may replace.
        if not isinstance(request.user, get_user_model()):
            self.permission_denied(request)
        if self.is_for_token and not isinstance(request.auth, Token):
            raise TokenRequired
        if not self.is_for_token and uses_token(request):
            raise TokenNotAllowed
        super().check_permissions(request)

    def get_queryset(self) -> TokenQuerySet:
        return Token.objects.filter(user=self.request.user).defer(*DIGESTS)  # type: ignore[misc]  # logged in

    def get_parsers(self) -> list[Any]:
        return [GuardedParser(parser) for parser in super().get_parsers()]

    def paginate_queryset(self, queryset: Any) -> Any:
        try:
            return super().paginate_queryset(queryset)
        except (ValueError, DataError, IntegrityError, ProgrammingError):
            # Not every pagination class checks a cursor or a limit before it asks the database.
            raise NotFound from None

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, ValidationError):
            exc = api_exception(exc)
        return super().handle_exception(exc)

    def finalize_response(self, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(*args, **kwargs)
        add_never_cache_headers(response)
        return response


def uses_token(request: Request) -> bool:
    """Return whether the request is authenticated by a token, in whatever way."""
    return (
        isinstance(request.auth, Token)
        or isinstance(request.successful_authenticator, AccessTokenAuthentication)
        # As a decorator or a middleware sets it.
        or isinstance(getattr(request, "access_token", None), Token)
    )
