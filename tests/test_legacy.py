from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from knox.auth import TokenAuthentication as KnoxAuthentication
from knox.models import AuthToken
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.authentication import BaseAuthentication, TokenAuthentication
from rest_framework.test import APIRequestFactory
from rest_framework_api_key.models import APIKey

from access_tokens import crypto
from access_tokens.authentication import AccessTokenAuthentication
from access_tokens.exceptions import Reason
from access_tokens.legacy import FORMATS
from access_tokens.models import Token
from access_tokens.signals import token_rejected

from .api import WhoView
from .factories import KnownToken
from .packages import PACKAGES, Package

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api")]

BARE = 'Bearer realm="api"'
INVALID = 'Bearer realm="api", error="invalid_token"'

HEX40, HEX64, KEY = (
    "0123456789abcdef" * 2 + "01234567",
    "0123456789abcdef" * 4,
    "aB3dE6gH." + "x" * 32,
)
EXAMPLES = {"authtoken": HEX40, "knox": HEX64, "knox with a prefix": "a_b" + HEX64, "api-key": KEY}

each_package = pytest.mark.parametrize("package", PACKAGES.values(), ids=PACKAGES)


@pytest.fixture(autouse=True)
def formats(settings: Settings) -> None:
    accept(settings, *FORMATS)


def accept(settings: Settings, *formats: str) -> None:
    settings.ACCESS_TOKENS = {"LEGACY_FORMATS": list(formats)}


def get(path: str, header: str) -> Any:
    client = Client(raise_request_exception=False)
    return client.get(path, HTTP_AUTHORIZATION=header)


def answer(response: Any) -> tuple[int, str | None]:
    return response.status_code, response.get("WWW-Authenticate")


# Shapes and digests.


def test_digests_are_those_of_the_packages(user: User) -> None:
    secret = PACKAGES["knox"].issue(user)
    assert crypto.recognize(secret) == f"sha512${AuthToken.objects.get().digest}"

    secret = PACKAGES["api-key"].issue(user)
    stored = APIKey.objects.get().hashed_key
    assert crypto.recognize(secret) == stored.replace("sha512$$", "sha512$")


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES)
def test_secret_of_a_package_is_not_one_of_ours(text: str) -> None:
    assert crypto.recognize(text)
    assert not crypto.has_shape(text)
    assert not crypto.is_well_formed(text)
    assert text[8:-4] not in repr(crypto.Secret(text))


def test_secret_of_ours_has_no_other_shape(token: KnownToken) -> None:
    assert crypto.recognize(token.secret) == crypto.digest_secret(token.secret)


MALFORMED = [
    None,
    *(text.upper() for text in (HEX40, HEX64)),
    *(text[:-1] for text in EXAMPLES.values() if not text.startswith("a_b")),
    *(text + end for text in EXAMPLES.values() for end in ("G", "\n", "\0", "\u0661", "g", "é", " ")),
    *(start + HEX40 for start in ("0", "\0", " ", "pat_")),
    *(start + HEX64 for start in ("\0", " ", "é", "12345678901")),
    *(start + KEY for start in ("0", "\0", " ", "pat_")),
    HEX40[:-1] + "\N{ARABIC-INDIC DIGIT ONE}",
    HEX64[:-1] + "\N{FULLWIDTH DIGIT ONE}",
    KEY[:-1] + "\ud800",
    KEY.replace(".", "-"),
    KEY.replace(".", ".."),
    "0" * 2**20,
    "0" * 8 + "." + "0" * 2**20,
]  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED, ids=ascii)
def test_other_text_has_no_digest(text: Any) -> None:
    assert crypto.recognize(text) is None


@pytest.mark.parametrize("scheme", ["Token", "Api-Key", "Bearer"])
@pytest.mark.parametrize("text", MALFORMED[1:], ids=lambda text: ascii(text[:80]))
def test_malformed_value_is_refused_without_a_query(
    django_assert_num_queries: DjangoAssertNumQueries, scheme: str, text: str
) -> None:
    # A server strips the ends of a header, so they are no part of the value.
    text = text.strip(" ")
    if crypto.recognize(text) is None:
        with django_assert_num_queries(0):
            assert answer(get("/open/", f"{scheme} {text}")) == (401, INVALID)


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES)
@pytest.mark.parametrize("scheme", ["Token", "api-key", "BEARER"])
def test_unknown_secret_is_refused(
    django_assert_num_queries: DjangoAssertNumQueries, scheme: str, text: str
) -> None:
    # The second query looks for an old secret.
    with django_assert_num_queries(2):
        assert answer(get("/open/", f"{scheme} {text}")) == (401, INVALID)


@given(
    scheme=st.sampled_from(["Token", "tOKEN", "Api-Key", "Bearer"]),
    value=st.text(alphabet="0123456789abcdefABCDEFgZ.$_-\0 é٣\udcff", max_size=90)
    | st.from_regex(r"[0-9a-f]{38,42}|[ -~é]{0,11}[0-9a-f]{62,66}|[\da-zé]{7,9}\.[\da-zé]{31,33}"),
)
@example(scheme="Token", value=HEX40)
@hypothesis_settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_value_gives_access_or_an_error(scheme: str, value: str) -> None:
    assert answer(get("/open/", f"{scheme} {value}")) == (401, INVALID)


# The setting.


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES)
@pytest.mark.parametrize("scheme", ["Token", "Api-Key", "Bearer"])
def test_format_that_is_not_listed_is_refused_without_a_query(
    settings: Settings,
    django_assert_num_queries: DjangoAssertNumQueries,
    scheme: str,
    text: str,
) -> None:
    name = next(name for name, example in EXAMPLES.items() if example == text).split()[0]
    others = [other for other in FORMATS if other != name]
    accept(settings, *others)
    keywords = {"Bearer", *(FORMATS[other].keyword for other in others)}

    with django_assert_num_queries(0):
        response = get("/who/", f"{scheme} {text}")
    assert answer(response) == (401, INVALID if scheme in keywords else BARE)


@pytest.mark.parametrize("scheme", ["Token", "Api-Key"])
def test_keyword_of_a_format_that_is_not_listed_is_another_scheme(
    settings: Settings, token: KnownToken, scheme: str
) -> None:
    settings.ACCESS_TOKENS = {}

    assert answer(get("/who/", f"{scheme} {token.secret}")) == (401, BARE)
    assert get("/open/", f"{scheme} {HEX40}").status_code == 200


class Unasked(dict[str, Any]):
    def get(self, key: str, default: Any = None) -> Any:
        assert key != "LEGACY_FORMATS"
        return super().get(key, default)


def test_secret_of_ours_costs_no_look_at_the_setting(settings: Settings, token: KnownToken) -> None:
    settings.ACCESS_TOKENS = Unasked()

    assert get("/who/", f"Bearer {token.secret}").status_code == 200
    assert get("/open/", "").status_code == 200
    assert get("/open/", f"Bearer {token.secret[:-1]}").status_code == 401


def test_unknown_format_in_the_setting_accepts_nothing(settings: Settings) -> None:
    accept(settings, "nothing")

    assert get("/who/", f"Token {HEX40}").status_code == 401
    assert get("/who/", f"Bearer {HEX40}").status_code == 401


# Keywords.


class SiteAuthentication(AccessTokenAuthentication):
    legacy_keywords = ["Apikey"]


def ask(header: str, *classes: type[BaseAuthentication]) -> Any:
    """Call a view that lets anybody in."""
    view = WhoView.as_view(authentication_classes=classes, permission_classes=[])
    return view(APIRequestFactory().get("/", HTTP_AUTHORIZATION=header))


def test_subclass_names_further_keywords(settings: Settings, user: User) -> None:
    secret = PACKAGES["authtoken"].issue(user)
    call_command("import_access_tokens", "authtoken")
    settings.ACCESS_TOKENS = {"LEGACY_FORMATS": ["authtoken"]}

    for keyword in ("apikey", "APIKEY", "Token", "Bearer"):
        assert ask(f"{keyword} {secret}", SiteAuthentication).data["user"] == "ada"
    assert answer(ask("Apikey x", SiteAuthentication)) == (401, INVALID)
    assert ask("Apikey x", AccessTokenAuthentication).data["user"] == ""


@pytest.mark.urls("tests.test_decorators")
@pytest.mark.parametrize("path", ["/function/", "/async/"])
def test_plain_view_takes_the_keywords_too(settings: Settings, user: User, path: str) -> None:
    secret = PACKAGES["authtoken"].issue(user)
    call_command("import_access_tokens", "authtoken")

    assert get(path, f"Token {secret}").json() == {"user": "ada", "token": "authtoken"}
    assert answer(get(path, "Token x")) == (401, INVALID)
    accept(settings, "api-key")
    assert get(path, f"Token {secret}").json() == get(path, "").json()


# Beside the class of the package.


@pytest.fixture
def key(user: User) -> str:
    return PACKAGES["authtoken"].issue(user)


@pytest.mark.parametrize(
    "classes",
    [
        (AccessTokenAuthentication, TokenAuthentication),
        (AccessTokenAuthentication, KnoxAuthentication),
    ],
)
def test_value_in_a_listed_format_is_ours(
    settings: Settings, key: str, classes: tuple[type[BaseAuthentication], ...]
) -> None:
    accept(settings, "authtoken")

    # Not imported, or deleted here. The other class could not know the latter.
    assert answer(ask(f"Token {key}", *classes)) == (401, INVALID)


def test_deleted_token_is_refused_though_its_package_would_accept_it(
    settings: Settings, user: User, key: str
) -> None:
    accept(settings, "authtoken")
    call_command("import_access_tokens", "authtoken")
    classes = (AccessTokenAuthentication, TokenAuthentication)
    assert ask(f"Token {key}", *classes).data["token"] == "authtoken"

    user.access_tokens.all().delete()
    assert ask(f"Token {key}", TokenAuthentication).data["user"] == "ada"
    assert ask(f"Token {key}", *classes).status_code == 401


def test_value_in_another_format_goes_to_the_other_class(
    settings: Settings, user: User, key: str
) -> None:
    knox = PACKAGES["knox"].issue(user)

    accept(settings, "authtoken")
    assert ask(f"Token {knox}", AccessTokenAuthentication, KnoxAuthentication).data["user"] == "ada"
    assert ask(f"Token {knox}", AccessTokenAuthentication).status_code == 401
    accept(settings, "knox")
    assert ask(f"Token {key}", AccessTokenAuthentication, TokenAuthentication).data["user"] == "ada"
    accept(settings)
    assert ask(f"Token {key}", AccessTokenAuthentication, TokenAuthentication).data["user"] == "ada"


# A secret of a package is treated like one of ours.


@each_package
def test_secret_costs_one_query(
    user: User, package: Package, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    secret = package.issue(user)
    call_command("import_access_tokens", package.name, *package.options)
    Token.objects.update(last_used_at=timezone.now() + timedelta(days=1))

    with django_assert_num_queries(1):
        assert get("/who/", f"{package.keyword} {secret}").status_code == 200


@each_package
def test_no_frame_holds_the_secret_when_the_database_fails(user: User, package: Package) -> None:
    secret = package.issue(user)

    def break_query(execute: Any, *args: Any) -> Any:
        raise DatabaseError("Gone.")

    with connection.execute_wrapper(break_query), pytest.raises(DatabaseError) as caught:
        Client().get("/who/", HTTP_AUTHORIZATION=f"{package.keyword} {secret}")

    frames = [frame for frame, _ in traceback.walk_tb(caught.tb)]
    names = [frame.f_code.co_name for frame in frames]
    assert {"authenticate", "_verify", "get"} <= set(names)
    for frame in frames[names.index("dispatch") :]:
        for value in frame.f_locals.values():
            assert secret not in str(value) + repr(value)


def test_refusals_have_a_reason(
    user: User, listen: Callable[[Any], list[dict[str, Any]]], settings: Settings
) -> None:
    rejections = listen(token_rejected)
    get("/who/", f"Token {HEX40}")
    get("/who/", f"Token {HEX40.upper()}")
    accept(settings)
    get("/who/", f"Bearer {HEX40}")

    reasons = [rejection["reason"] for rejection in rejections]
    assert reasons == [Reason.UNKNOWN, Reason.MALFORMED, Reason.MALFORMED]
