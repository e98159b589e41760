"""The view to which anyone reports leaked tokens."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.signals import got_request_exception
from django.db import connections
from django.test import Client, RequestFactory
from django.urls import path
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from access_tokens import leaks
from access_tokens.api.leaks import MAX_BYTES, MAX_TOKENS, RevokeLeakedTokensView
from access_tokens.crypto import generate_secret
from access_tokens.models import Token

from .factories import KnownToken, TokenFactory
from .test_leaks import before, fail, works

urlpatterns = [
    path("leaked/", RevokeLeakedTokensView.as_view()),
    path("unlimited/", RevokeLeakedTokensView.as_view(throttle_classes=())),
]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def post(
    body: Any, content_type: str = "application/json", url: str = "/leaked/", **kw: Any
) -> Any:
    """Send this body as anyone on the internet would."""
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    # Unlike post(), this encodes nothing by the charset.
    return client.generic("POST", url, body, content_type=content_type, **kw)


def report(*tokens: Any, **kw: Any) -> Any:
    return post(json.dumps({"tokens": tokens}), **kw)


def test_reported_token_is_deleted(token: KnownToken) -> None:
    other = TokenFactory.create(user=token.user)

    assert report(token.secret).status_code == 202
    assert not works(token.secret)
    assert works(other.secret)


def test_answer_is_always_the_same(token: KnownToken) -> None:
    rotated = TokenFactory.create(user=token.user)
    Token.objects.rotate(rotated)
    expired = TokenFactory.create(user=token.user, expires_at=timezone.now())
    reports: list[list[Any]] = [
        [],
        [token.secret],
        [token.secret],
        [rotated.secret],
        [expired.secret],
        [generate_secret("pat")],
        ["", "nonsense", "\ud800", "\0", None, 1, 1.5, True, [], {}],
        [generate_secret("pat")] * MAX_TOKENS,
    ]

    answers = [report(*tokens) for tokens in reports]
    assert {(each.status_code, each.content, str(each.headers)) for each in answers} == {
        (202, b"", str(answers[0].headers))
    }
    assert not answers[0].cookies
    assert not works(rotated.secret)


@pytest.mark.parametrize("url", ["/leaked/", "/leaked/?format=xml"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "text/html"},
        {"Accept": "application/xml;q=0.1"},
        {"Accept": "nonsense"},
        {"Authorization": "Bearer nonsense"},
        {"Cookie": "sessionid=nonsense"},
    ],
)
def test_report_counts_whatever_its_headers_say(
    token: KnownToken, headers: dict[str, str], url: str
) -> None:
    assert report(token.secret, headers=headers, url=url).status_code == 202
    assert not works(token.secret)


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "rot13", "hex", "zlib", "nonsense"])
def test_json_needs_no_charset(token: KnownToken, charset: str) -> None:
    answer = report(token.secret, content_type=f"application/json; charset={charset}")

    assert answer.status_code == 202
    assert not works(token.secret)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "required"),
        (b"{", "parse_error"),
        (b"\xff", "parse_error"),
        (b"[" * 100_000, "parse_error"),
        (b'{"tokens": [' * 10_000, "parse_error"),
        (b"9" * 10_000, "parse_error"),
        (b'{"tokens": []}' + b" " * MAX_BYTES, "parse_error"),
        (b"null", "null"),
        (b"[]", "invalid"),
        (b'"tokens"', "invalid"),
        (b"{}", "required"),
        (b'{"tokens": null}', "null"),
        (b'{"tokens": "pat_"}', "not_a_list"),
        (b'{"tokens": {"a": "pat_"}}', "not_a_list"),
        (json.dumps({"tokens": [""] * (MAX_TOKENS + 1)}), "max_length"),
    ],
)
def test_what_is_no_report_is_a_bad_request(body: Any, code: str) -> None:
    answer = post(body)

    assert answer.status_code == 400
    assert code in str(answer.data) or code == "parse_error"
    assert len(answer.content) < 200


def test_longest_possible_report_is_accepted(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    secrets = [generate_secret("a" * 20) for _ in range(MAX_TOKENS)]
    body = json.dumps({"tokens": secrets}, indent=8)

    with django_assert_num_queries(4):
        assert post(body).status_code == 202


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_only_json_is_accepted(token: KnownToken, content_type: str) -> None:
    assert report(token.secret, content_type=content_type).status_code == 415
    assert Client().get("/leaked/").status_code == 405
    assert works(token.secret)


@given(st.binary() | st.recursive(st.text(), st.lists).map(lambda x: json.dumps({"tokens": x})))
@hypothesis_settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_causes_an_error_of_the_server(db: None, body: Any) -> None:
    assert post(body, url="/unlimited/").status_code in {202, 400}


def test_client_that_hangs_up_causes_no_error_of_the_server() -> None:
    class Broken(BytesIO):
        def read(self, *args: Any) -> bytes:
            raise OSError

    environ = RequestFactory().post("/leaked/", b"{}", content_type="application/json").environ
    environ["wsgi.input"] = Broken()
    handler = WSGIHandler()
    assert handler.get_response(WSGIRequest(environ)).status_code == 400


def test_reports_of_an_address_are_limited(token: KnownToken) -> None:
    answers = [report("nonsense").status_code for _ in range(61)]

    assert answers == [202] * 60 + [429]
    assert report(token.secret).status_code == 429
    assert report(token.secret, REMOTE_ADDR="192.0.2.1").status_code == 202


# Failures.


def test_report_is_to_be_sent_again_if_a_token_still_works(token: KnownToken) -> None:
    other = TokenFactory.create(user=token.user)
    with before("DELETE", fail):
        answer = report(token.secret, other.secret)

    assert (answer.status_code, answer.content) == (503, b"")
    assert sorted(map(works, [token.secret, other.secret])) == [False, True]
    assert report(token.secret, other.secret).status_code == 202
    assert not Token.objects.exists()


def test_report_is_to_be_sent_again_if_the_database_fails(token: KnownToken) -> None:
    with before("SELECT", fail):
        assert report(token.secret).status_code == 503
    assert works(token.secret)


@pytest.mark.django_db(transaction=True)
def test_unexpected_error_brings_nothing_back_and_reveals_no_secret(
    token: KnownToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[str] = []

    def break_down(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError

    def walk(**kwargs: Any) -> None:
        traceback = sys.exc_info()[2]
        while traceback:
            frames.append(repr(traceback.tb_frame.f_locals))
            traceback = traceback.tb_next

    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    monkeypatch.setattr(leaks, "tell_owners", break_down)
    got_request_exception.connect(walk)
    unknown = generate_secret("pat")
    assert report(token.secret, unknown).status_code == 500
    got_request_exception.disconnect(walk)
    assert not works(token.secret)
    assert any("leaks" in frame for frame in frames)
    for secret in [token.secret, unknown]:
        assert secret[10:20] not in str(frames)


def test_nothing_keeps_a_secret(token: KnownToken, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [token.secret, generate_secret("pat")]
    report(*secrets)
    with before("SELECT", fail):
        report(*secrets)
    post(f'{{"tokens": ["{secrets[0]}"')
    post(json.dumps({"tokens": secrets * MAX_TOKENS}))

    assert "leaked and was revoked" in caplog.text
    said = [caplog.text, *(str(vars(record)) for record in caplog.records)]
    for secret in secrets:
        assert secret[10:20] not in str(said)
