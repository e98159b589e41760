from typing import NoReturn

from django.contrib.auth.views import RedirectURLMixin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.generic import View
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from access_tokens.decorators import required_scopes
from access_tokens.models import Token
from example_project.context_processors import LOOKS, THEMES
from example_project.models import Note
from example_project.serializers import (
    IndexSerializer,
    MeSerializer,
    NoteSerializer,
    ReportSerializer,
)


class LookView(RedirectURLMixin, View):
    """Remember the look or the theme that the visitor chose."""

    next_page = "home"

    def post(self, request: HttpRequest) -> HttpResponse:
        response = HttpResponseRedirect(self.get_success_url())
        for name, choices in [("look", LOOKS), ("theme", THEMES)]:
            if (value := request.POST.get(name)) in choices:
                response.set_cookie(name, value, httponly=True, samesite="Lax")
        return response


class IndexView(APIView):
    """The endpoints of this API."""

    @extend_schema(responses=IndexSerializer)
    def get(self, request: Request) -> Response:
        names = ["me", "notes", "reports", "error"]
        return Response({name: reverse(name, request=request) for name in names})


class MeView(APIView):
    """Your username, and the access token in use."""

    @extend_schema(responses=MeSerializer)
    def get(self, request: Request) -> Response:
        token = request.auth.name if isinstance(request.auth, Token) else None
        return Response({"username": request.user.get_username(), "token": token})


@extend_schema_view(post=extend_schema(responses={201: NoteSerializer, 400: OpenApiTypes.OBJECT}))
class NoteListView(generics.ListCreateAPIView[Note]):
    """Your notes."""

    serializer_class = NoteSerializer

    def get_queryset(self) -> QuerySet[Note]:
        return Note.objects.filter(user=self.request.user.pk)

    def perform_create(self, serializer: BaseSerializer[Note]) -> None:
        serializer.save(user=self.request.user)


@required_scopes(["reports"])
@extend_schema(responses=ReportSerializer)
@api_view()
def report(request: Request) -> Response:
    """How many notes you have. With SCOPES=1 a token needs the scope "reports"."""
    return Response({"notes": Note.objects.filter(user=request.user.pk).count()})


class ErrorView(APIView):
    """An endpoint that fails. The use of the access token is recorded all the same."""

    @extend_schema(responses={500: None})
    def get(self, request: Request) -> NoReturn:
        raise RuntimeError("This endpoint always fails.")
