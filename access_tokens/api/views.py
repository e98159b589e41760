"""The REST API of tokens: the user's own for a session, its own for a token."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.http import Http404
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.viewsets import GenericViewSet

from ..authentication import AccessTokenAuthentication
from ..conf import conf
from ..crypto import Secret
from ..last_used import confirm_secret
from ..limits import MAY_NOT_CREATE, may_create
from ..managers import DIGESTS
from ..models import Token
from ..querysets import TokenQuerySet
from ..rotation import exact_lifetime, rotation_off
from .exceptions import TokenNotAllowed, TokenRequired, api_exception
from .filters import StateFilter, TokenOrderingFilter, TokenSearchFilter
from .serializers import (
    TokenChangeSerializer,
    TokenCreateSerializer,
    TokenRotateSerializer,
    TokenSecretSerializer,
    TokenSelfSerializer,
    TokenSerializer,
)


class TokenPagination(PageNumberPagination):
    page_size = 50


@method_decorator(never_cache, name="dispatch")
class TokenViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet[Token],
):
    """List, create, change, rotate and delete your own access tokens.

    The secret of a token is only in the answers to create and rotate.
    """

    # The API has no versions, whatever those of the site are.
    versioning_class = None
    lookup_value_converter = "int"
    lookup_value_regex = "[0-9]+"
    filter_backends = (StateFilter, TokenSearchFilter, TokenOrderingFilter)
    search_fields = ("name", "partial")
    ordering_fields = ("name", "created_at", "last_used_at", "expires_at")
    pagination_class: Any = api_settings.DEFAULT_PAGINATION_CLASS or TokenPagination

    serializer_class: Any = TokenSerializer
    serializer_classes: Mapping[str, Any] = {
        "create": TokenCreateSerializer,
        "partial_update": TokenChangeSerializer,
        "rotate": TokenRotateSerializer,
        "retrieve_self": TokenSelfSerializer,
        "rotate_self": TokenRotateSerializer,
    }
    secret_serializer_class: Any = TokenSecretSerializer

    # What a token may do is decided below, without its scopes.
    required_scopes: tuple[str, ...] = ()
    # Whether a token is required, and otherwise refused.
    is_for_token = False

    def check_permissions(self, request: Request) -> None:
        # Here rather than in a permission class, which a subclass or an action may replace.
        if not isinstance(request.user, get_user_model()):
            self.permission_denied(request)
        if self.is_for_token and not isinstance(request.auth, Token):
            raise TokenRequired
        if not self.is_for_token and uses_token(request):
            raise TokenNotAllowed
        super().check_permissions(request)
        if self.requested_action == "create" and not may_create(request.user):
            raise PermissionDenied(MAY_NOT_CREATE, "may_not_create")

    @property
    def requested_action(self) -> str | None:
        # For OPTIONS, DRF asks what a POST would do.
        return self.action_map.get("post") if self.action == "metadata" else self.action

    def get_queryset(self) -> TokenQuerySet:
        return Token.objects.filter(user=self.request.user).defer(*DIGESTS)  # type: ignore[misc]  # logged in

    def get_serializer_class(self) -> Any:
        return self.serializer_classes.get(self.requested_action or "", self.serializer_class)

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.reveal(status.HTTP_201_CREATED)

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        token = self.get_object()
        serializer = self.get_serializer(token, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        try:
            serializer.save()
        except Token.DoesNotExist:
            raise Http404 from None
        return Response(self.represent(token))

    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Give the token a new secret. The old one works until a while after its first use."""
        return self.reveal(status.HTTP_200_OK, self.get_object())

    @action(detail=False, url_path="self", url_name="self", is_for_token=True)
    def retrieve_self(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return the token of this request."""
        return Response(self.get_serializer(request.auth).data)

    @retrieve_self.mapping.delete
    def destroy_self(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Delete the token of this request. An old secret only ends itself."""
        token: Any = copy(request.auth)
        if token.by_previous_secret:
            Token.objects.end_previous(token)
        else:
            self.perform_destroy(token)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @action(
        detail=False,
        methods=["post"],
        url_path="self/rotate",
        url_name="self-rotate",
        is_for_token=True,
    )
    def rotate_self(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Give the token of this request a new secret, if the site allows it."""
        if not conf.SELF_ROTATION:
            raise rotation_off()
        # A copy: the use of the token may still have to be written.
        token: Any = copy(request.auth)
        if token.by_previous_secret:
            raise PermissionDenied(
                _("The token was rotated. Use its new secret."), "previous_secret"
            )
        confirm_secret(token)
        return self.reveal(status.HTTP_200_OK, token, expires_at=exact_lifetime(token))

    def reveal(self, status: int, token: Token | None = None, **values: Any) -> Response:
        """Create or rotate a token, and return it with its secret, here and nowhere else."""
        serializer: Any = self.get_serializer(token, data=self.request.data)
        serializer.is_valid(raise_exception=True)
        token = serializer.save(**values)
        return Response(self.represent(token, serializer.secret), status=status)

    def represent(self, token: Token, secret: Secret | None = None) -> dict[str, Any]:
        context = dict(self.get_serializer_context())
        if secret is None:
            serializer = self.serializer_class(token, context=context)
        else:
            serializer = self.secret_serializer_class(token, context=context | {"secret": secret})
        # Without the serializer, of which the browsable API would make its forms.
        return dict(serializer.data)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, ValidationError):
            exc = api_exception(exc)
        return super().handle_exception(exc)


def uses_token(request: Request) -> bool:
    """Return whether a token is what the request is authenticated by, in whatever way."""
    return (
        isinstance(request.auth, Token)
        or isinstance(request.successful_authenticator, AccessTokenAuthentication)
        # As a plain view has it.
        or getattr(request, "access_token", None) is not None
    )
