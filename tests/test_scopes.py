import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import include, path
from django.utils.translation import gettext_lazy as _
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action, api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import AccessToken as JsonWebToken

from access_tokens.authentication import AccessTokenAuthentication
from access_tokens.decorators import required_scopes
from access_tokens.models import Token
from access_tokens.scopes import join_scopes, missing_scopes, needed_scopes

SCOPES = {"read": _("Read"), "write": _("Read and write"), "reports": "Run reports"}


def answer(request: Request) -> Response:
    return Response({"user": request.user.get_username()})


class PlainView(APIView):
    """Say nothing of scopes."""

    permission_classes: Any = []

    def get(self, request: Request, *args: Any) -> Response:
        return answer(request)

    post = put = patch = delete = get


class ListView(PlainView):
    required_scopes: Any = ["read", "reports"]


class AnyTokenView(PlainView):
    required_scopes: Any = []


class ByMethodView(PlainView):
    required_scopes = {"GET": ["reports"], "POST": []}


class LazyView(PlainView):
    """Authenticate at the first look at the user, as DRF allows."""

    def perform_authentication(self, request: Request) -> None:
        pass


class BesideOthersView(PlainView):
    required_scopes = ["reports"]
    authentication_classes = [AccessTokenAuthentication, SessionAuthentication, JWTAuthentication]


class ReportViewSet(ViewSet):
    permission_classes = [AllowAny]
    required_scopes: Any = {"retrieve": ["reports"], "create": ["read"]}

    def list(self, request: Request) -> Response:
        return answer(request)

    def create(self, request: Request) -> Response:
        return answer(request)

    def retrieve(self, request: Request, pk: str) -> Response:
        return answer(request)

    @action(detail=False, methods=["get"], required_scopes=["reports"])
    def run(self, request: Request) -> Response:
        return answer(request)


@required_scopes(["reports"])
@api_view(["GET"])
@permission_classes([])
def report(request: Request) -> Response:
    return answer(request)


@api_view(["GET", "POST"])
@permission_classes([])
def plain(request: Request) -> Response:
    return answer(request)


router = SimpleRouter()
router.register("set", ReportViewSet, basename="set")

urlpatterns = [
    path("plain/", PlainView.as_view()),
    path("list/", ListView.as_view()),
    path("any/", AnyTokenView.as_view()),
    path("method/", ByMethodView.as_view()),
    path("lazy/", LazyView.as_view()),
    path("others/", BesideOthersView.as_view()),
    path("report/", report),
    path("function/", plain),
    path("nested/", include(router.urls)),
]

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_scopes")]


@pytest.fixture(autouse=True)
def scopes(settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}


Call = Callable[..., Any]


@pytest.fixture
def call(user: User) -> Call:
    """Return a function that sends a request with a new token of these scopes."""

    def call(method: str, path: str, scopes: Any, **extra: Any) -> Any:
        number = Token.objects.count()
        _token, secret = Token.objects.create_token(user=user, name=f"{number}", scopes=scopes)
        return Client().generic(method, path, HTTP_AUTHORIZATION=f"Bearer {secret}", **extra)

    return call


# What a request needs.


@pytest.mark.parametrize(
    ("method", "path", "enough", "too_little"),
    [
        ("GET", "/plain/", {"read"}, {"reports"}),
        ("HEAD", "/plain/", {"read"}, {"reports"}),
        ("OPTIONS", "/plain/", {"read"}, {"reports"}),
        ("POST", "/plain/", {"write"}, {"read", "reports"}),
        ("PUT", "/plain/", {"write"}, {"read"}),
        ("PATCH", "/plain/", {"write"}, {"read"}),
        ("DELETE", "/plain/", {"write"}, {"read"}),
        ("GET", "/plain/", {"write"}, {"reports"}),
        ("GET", "/list/", {"read", "reports"}, {"read"}),
        ("GET", "/list/", {"write", "reports"}, {"reports"}),
        ("POST", "/list/", {"read", "reports"}, {"write"}),
        ("GET", "/method/", {"reports"}, {"write"}),
        ("HEAD", "/method/", {"reports"}, {"write"}),
        ("POST", "/method/", {"reports"}, None),
        ("PUT", "/method/", {"write"}, {"reports"}),
        ("OPTIONS", "/method/", {"read"}, {"reports"}),
        ("POST", "/any/", {"reports"}, None),
        ("GET", "/report/", {"reports"}, {"write"}),
        ("OPTIONS", "/report/", {"reports"}, {"write"}),
        ("GET", "/function/", {"read"}, {"reports"}),
        ("POST", "/function/", {"write"}, {"read"}),
        ("GET", "/nested/set/", {"read"}, {"reports"}),
        ("POST", "/nested/set/", {"read"}, {"reports"}),
        ("GET", "/nested/set/1/", {"reports"}, {"write"}),
        ("GET", "/nested/set/run/", {"reports"}, {"write"}),
        ("OPTIONS", "/nested/set/run/", {"reports"}, {"write"}),
        ("GET", "/lazy/", {"read"}, {"reports"}),
        ("POST", "/lazy/", {"write"}, {"read"}),
    ],
)
def test_view_needs_its_scopes(
    call: Call, method: str, path: str, enough: set[str], too_little: set[str] | None
) -> None:
    assert call(method, path, enough).status_code == 200
    assert call(method, path, None).status_code == 200  # full access
    if too_little is not None:
        assert call(method, path, too_little).status_code == 403


def test_method_that_a_view_lacks_is_refused_before_it_is_missed(call: Call) -> None:
    assert call("POST", "/report/", {"write"}).status_code == 403
    assert call("POST", "/report/", {"reports"}).status_code == 405
    assert call("DELETE", "/nested/set/", {"read"}).status_code == 403


def test_browsable_api_is_no_way_around(call: Call) -> None:
    refused = call("GET", "/nested/set/run/", {"write"}, HTTP_ACCEPT="text/html")
    served = call("GET", "/list/", {"read", "reports"}, HTTP_ACCEPT="text/html")

    assert (refused.status_code, served.status_code) == (403, 200)
    assert "ada" not in refused.content.decode()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_method_override_is_no_way_around(call: Call, method: str) -> None:
    response = call(
        method, "/plain/?_method=GET", {"reports"}, HTTP_X_HTTP_METHOD_OVERRIDE="OPTIONS"
    )

    assert response.status_code == 403


# The refusal.


def test_refusal_names_the_scopes_as_rfc_6750_does(
    call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "access_tokens")
    response = call("GET", "/list/", {"reports"})

    token = Token.objects.get()
    assert response.status_code == 403
    assert response.json() == {"detail": "This access token lacks the scope read."}
    assert response["WWW-Authenticate"] == (
        'Bearer realm="api", error="insufficient_scope", scope="read reports"'
    )
    assert caplog.messages[-1:] != []
    assert f"Token {token.pk} of user {token.user_id} lacks the scope read." in caplog.messages


def test_refusal_has_its_code(user: User, rf: RequestFactory) -> None:
    _token, secret = Token.objects.create_token(user=user, name="x", scopes=["read"])
    view = ListView()
    request = view.initialize_request(rf.get("/", HTTP_AUTHORIZATION=f"Bearer {secret}"))
    view.required_scopes = ["write", "reports"]

    with pytest.raises(Exception, match="write, reports") as refusal:
        request.user  # noqa: B018  # authenticates

    assert refusal.value.get_codes() == "insufficient_scope"  # type: ignore[attr-defined]  # of DRF


def test_refused_token_was_used(call: Call) -> None:
    call("GET", "/list/", {"read"})

    assert Token.objects.get().last_used_at


def test_scopes_cost_no_query(
    user: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    _token, secret = Token.objects.create_token(user=user, name="x", scopes=["read"])
    Token.objects.authenticate(secret)
    with django_assert_num_queries(1):
        Client().get("/plain/", HTTP_AUTHORIZATION=f"Bearer {secret}")


def test_other_authenticators_know_no_scopes(user: User, client: Client) -> None:
    jwt = JsonWebToken.for_user(user)
    client.force_login(user)

    assert client.get("/others/").status_code == 200
    assert client.get("/plain/").status_code == 200
    assert Client().get("/others/", HTTP_AUTHORIZATION=f"Bearer {jwt}").status_code == 200


# What a token has.


def test_name_that_the_site_dropped_grants_nothing(call: Call, settings: Settings) -> None:
    assert call("GET", "/report/", {"reports"}).status_code == 200
    _token, secret = Token.objects.create_token(
        user=User.objects.get(), name="x", scopes=["reports"]
    )
    settings.ACCESS_TOKENS = {"SCOPES": {"read": "Read", "write": "Write"}}

    header = f"Bearer {secret}"
    assert Client().get("/report/", HTTP_AUTHORIZATION=header).status_code == 403


def test_site_that_switches_scopes_off_gives_no_token_more(user: User, settings: Settings) -> None:
    _token, secret = Token.objects.create_token(user=user, name="x", scopes=["write"])
    settings.ACCESS_TOKENS = {}

    header = f"Bearer {secret}"
    assert Client().get("/plain/", HTTP_AUTHORIZATION=header).status_code == 403
    assert Client().get("/any/", HTTP_AUTHORIZATION=header).status_code == 200


def test_scopes_are_stored_in_the_order_of_the_site(user: User) -> None:
    names = {"reports", "write"}
    token, _secret = Token.objects.create_token(user=user, name="x", scopes=names)

    assert token.scopes == "write reports"
    assert token.has_scopes("read", "write", "reports")
    assert not token.has_scopes("read", "admin")
    assert token.has_scopes()


def test_token_without_scopes_has_all(user: User) -> None:
    token, _secret = Token.objects.create_token(user=user, name="x")

    assert token.scopes is None
    assert token.has_scopes("reports", "whatever")
    assert list(Token.objects.without_scopes()) == [token]


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ([], "required"),
        (["read", "admin"], "unknown_scope"),
        (["read write"], "unknown_scope"),
        ([""], "unknown_scope"),
        ("read", "unknown_scope"),
    ],
)
def test_bad_scopes_are_refused(user: User, names: Any, code: str) -> None:
    with pytest.raises(ValidationError) as error:
        Token.objects.create_token(user=user, name="x", scopes=names)

    assert list(error.value.error_dict) == ["scopes"]
    assert error.value.error_dict["scopes"][0].code == code
    assert not Token.objects.exists()


@given(
    held=st.sets(st.sampled_from([*SCOPES, "gone"])), needed=st.lists(st.sampled_from([*SCOPES]))
)
def test_missing_scopes_are_what_is_needed_and_not_granted(
    held: set[str], needed: list[str]
) -> None:
    granted = held | ({"read"} if "write" in held else set())

    assert missing_scopes(" ".join(held), needed) == [n for n in needed if n not in granted]
    assert missing_scopes(None, needed) == []


def test_action_is_asked_before_the_method() -> None:
    required = {"run": ["reports"], "GET": ["write"]}

    assert needed_scopes(required, "GET", "run") == ["reports"]
    assert needed_scopes(required, "GET", "list") == ["write"]
    assert needed_scopes(required, "HEAD") == ["write"]
    assert needed_scopes(required, "POST", None) == ["write"]
    assert needed_scopes({"POST": ["reports"]}, "GET") == ["read"]


def test_names_are_joined_once_each() -> None:
    assert join_scopes(["read", "read"]) == "read"


# The decorator.


def function(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def test_decorator_belongs_above_api_view() -> None:
    with pytest.raises(TypeError, match="above @api_view"):
        required_scopes(["reports"])(function)
    with pytest.raises(TypeError, match="above @api_view"):
        api_view(["GET"])(required_scopes(["reports"])(function))
