"""The viewset of the REST API as sites may route to it and change it."""

from typing import Any

from django.urls import include, path
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter, SimpleRouter

from access_tokens.api.views import TokenViewSet
from access_tokens.authentication import AccessTokenAuthentication
from access_tokens.models import Token

from .docs import code_block


class OpenViewSet(TokenViewSet):
    permission_classes = [AllowAny]

    @action(detail=False, permission_classes=[AllowAny], authentication_classes=[])
    def anonymous(self, request: Any, **kwargs: Any) -> Response:
        return Response(self.get_queryset().count())

    @action(detail=False, permission_classes=[])
    def count(self, request: Any, **kwargs: Any) -> Response:
        return Response(self.get_queryset().count())


class ForgetfulAuthentication(AccessTokenAuthentication):
    """Keep the token for itself."""

    def authenticate(self, request: Any) -> Any:
        result = super().authenticate(request)
        return result and (result[0], None)


class ForgetfulViewSet(TokenViewSet):
    authentication_classes = [ForgetfulAuthentication, SessionAuthentication]


class HeaderAuthentication(BaseAuthentication):
    """Take a token from another header, without our class."""

    def authenticate(self, request: Any) -> Any:
        secret = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = Token.objects.authenticate(secret, request._request)
        return token.user, token


class HeaderViewSet(TokenViewSet):
    authentication_classes = [HeaderAuthentication]


class MiddlewareAuthentication(BaseAuthentication):
    """Know the user from a middleware or a decorator that accepts tokens."""

    def authenticate(self, request: Any) -> Any:
        http_request = request._request
        secret = request.headers.get("Authorization", "").removeprefix("Bearer ")
        http_request.access_token = Token.objects.authenticate(secret, http_request)
        return http_request.access_token.user, None


class MiddlewareViewSet(TokenViewSet):
    authentication_classes = [MiddlewareAuthentication]


class ServiceUser:
    """A user of another kind, without a row."""

    pk = 1
    is_authenticated = True
    is_active = True


class ServiceAuthentication(BaseAuthentication):
    def authenticate(self, request: Any) -> Any:
        return ServiceUser(), None


class ServiceViewSet(TokenViewSet):
    authentication_classes = [ServiceAuthentication]


site: dict[str, Any] = {}
exec(code_block("class TeamTokenViewSet("), site)  # noqa: S102  # of the documentation

nested = SimpleRouter()
nested.register(r"users/(?P<user_pk>[0-9]+)/tokens", OpenViewSet, basename="nested")
flat = DefaultRouter()
for name, viewset in {
    "open": OpenViewSet,
    "forgetful": ForgetfulViewSet,
    "header": HeaderViewSet,
    "middleware": MiddlewareViewSet,
    "service": ServiceViewSet,
    "team": site["TeamTokenViewSet"],
}.items():
    flat.register(name, viewset, basename=name)

urlpatterns = [
    path("", include([*nested.urls, *flat.urls])),
    path("<version>/tokens/", include("access_tokens.api.urls")),
]
