"""The REST API of tokens. A session manages those of its user, a token only itself."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

from django.http import Http404
from django.utils.translation import gettext_lazy as _
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from ..conf import conf
from ..crypto import Secret
from ..last_used import confirm_secret
from ..limits import MAY_NOT_CREATE, may_create
from ..models import Token
from ..rotation import exact_lifetime, rotation_off
from .filters import StateFilter, TokenOrderingFilter, TokenSearchFilter
from .mixins import OwnTokensMixin
from .pagination import TokenPagination
from .serializers import (
    TokenChangeSerializer,
    TokenCreateSerializer,
    TokenRotateSerializer,
    TokenSecretSerializer,
    TokenSelfSerializer,
    TokenSerializer,
)


class TokenViewSet(
    OwnTokensMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet[Token],
):
    """List, create, change, rotate and delete your own access tokens.

    The secret of a token is only in the answers to create and rotate.
    """

    lookup_value_converter = "int"
    lookup_value_regex = "[0-9]+"
    filter_backends = (StateFilter, TokenSearchFilter, TokenOrderingFilter)
    search_fields = ("name", "partial")
    ordering_fields = ("name", "created_at", "last_used_at", "expires_at")
    pagination_class = TokenPagination

    serializer_class: Any = TokenSerializer
    serializer_classes: Mapping[str, Any] = {
        "create": TokenCreateSerializer,
        "partial_update": TokenChangeSerializer,
        "rotate": TokenRotateSerializer,
        "retrieve_self": TokenSelfSerializer,
        "rotate_self": TokenRotateSerializer,
    }
    secret_serializer_class: Any = TokenSecretSerializer

    def check_permissions(self, request: Request) -> None:
        super().check_permissions(request)
        creates = self.requested_action == "create" and request.method == "POST"
        if creates and not may_create(request.user):
            raise PermissionDenied(MAY_NOT_CREATE, "may_not_create")

    @property
    def requested_action(self) -> str | None:
        # For OPTIONS, DRF asks what a POST would do.
        return self.action_map.get("post") if self.action == "metadata" else self.action

    def get_serializer_class(self) -> Any:
        return self.serializer_classes.get(self.requested_action or "", self.serializer_class)

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.reveal(status.HTTP_201_CREATED)

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        token = self.get_object()
        try:
            self.save(token, partial=True)
        except Token.DoesNotExist:
            raise Http404 from None
        return Response(self.represent(token))

    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Give the token a new secret. The old one works for a while after the new one is used."""
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

    def reveal(self, code: int, token: Token | None = None, **values: Any) -> Response:
        """Create or rotate a token, and return it with its secret, here and nowhere else."""
        serializer = self.save(token, **values)
        return Response(self.represent(serializer.instance, serializer.secret), status=code)

    def save(self, token: Token | None, *, partial: bool = False, **values: Any) -> Any:
        serializer: Any = self.get_serializer(token, data=self.request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        serializer.save(**values)
        return serializer

    def represent(self, token: Token, secret: Secret | None = None) -> dict[str, Any]:
        context = dict(self.get_serializer_context())
        if secret is None:
            serializer = self.serializer_class(token, context=context)
        else:
            context |= {"secret": self.renderable(secret)}
            serializer = self.secret_serializer_class(token, context=context)
        # Without the serializer, from which the browsable API would make its forms.
        return dict(serializer.data)

    def renderable(self, secret: Secret) -> str:
        """Return ``secret``, masked in error reports unless a renderer may refuse a ``Secret``."""
        # The YAML renderer does, when the token exists already: it takes no subclass of str.
        known = (JSONRenderer, BrowsableAPIRenderer)
        is_taken = all(isinstance(renderer, known) for renderer in self.get_renderers())
        return secret if is_taken else str(secret)
