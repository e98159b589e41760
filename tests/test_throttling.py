from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access_tokens.throttling import AddressThrottle, client_network, seconds_to_wait

NOW = datetime(2030, 1, 2, 3, 4, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def from_address(address: str | None, forwarded: str | None = None) -> HttpRequest:
    request = HttpRequest()
    request.META |= {"REMOTE_ADDR": address, "HTTP_X_FORWARDED_FOR": forwarded}
    return request


def count(times: int, address: str = "192.0.2.7", rate: str = "3/min") -> list[int | None]:
    return [seconds_to_wait(from_address(address), "test", rate) for _ in range(times)]


# Where a request comes from.


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", None),
        (None, None),
        ("unix:", None),
        ("192.0.2.7:443", "192.0.2.7"),
        ("[2001:db8:1:2::7]:443", "2001:db8:1:2::/64"),
        ("2001:443::7", "2001:443::/64"),
        ("192.0.2.7:", None),
    ],
)
def test_address_is_that_of_ipv4_and_the_network_of_ipv6(
    address: str | None, network: str | None
) -> None:
    assert client_network(from_address(address)) == network


@pytest.mark.parametrize(
    ("proxies", "forwarded", "network"),
    [
        (None, "198.51.100.1", "192.0.2.7"),
        (0, "198.51.100.1", "192.0.2.7"),
        (1, None, "192.0.2.7"),
        (1, "203.0.113.1, 198.51.100.1", "198.51.100.1"),
        (2, "203.0.113.1, 198.51.100.1", "203.0.113.1"),
        (3, "203.0.113.1, 198.51.100.1", "203.0.113.1"),
        (1, "203.0.113.1,2001:db8::7 ", "2001:db8::/64"),
    ],
)
def test_header_counts_as_far_as_the_site_has_proxies(
    settings: Settings, proxies: int | None, forwarded: str | None, network: str
) -> None:
    settings.REST_FRAMEWORK = {"NUM_PROXIES": proxies}

    assert client_network(from_address("192.0.2.7", forwarded)) == network


def test_site_may_have_no_settings_of_drf(settings: Settings) -> None:
    del settings.REST_FRAMEWORK

    assert client_network(from_address("192.0.2.7", "198.51.100.1")) == "192.0.2.7"


@given(address=st.text() | st.ip_addresses().map(str), forwarded=st.text())
def test_no_address_is_an_error_or_makes_a_key_that_a_cache_refuses(
    address: str, forwarded: str
) -> None:
    network = client_network(from_address(address, forwarded))

    assert network is None or network.isascii()
    assert network is None or not set(network) - set("0123456789abcdef.:/")


# How many are allowed.


def test_address_waits_for_the_next_window_when_it_exceeds_the_rate(clock: Any) -> None:
    assert count(5) == [None, None, None, 45, 45]
    assert count(1, "192.0.2.8") == [None]
    clock.shift(timedelta(seconds=44.5))
    assert count(1) == [1]
    clock.shift(timedelta(seconds=0.5))
    assert count(4) == [None, None, None, 60]


def test_requests_of_one_ipv6_network_count_together() -> None:
    for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::"):
        assert count(1, address) == [None]

    assert count(1, "2001:db8::3") == [45]
    assert count(1, "2001:db8:0:1::") == [None]


@pytest.mark.parametrize(
    ("rate", "wait"), [("1/s", 1), ("1/min", 45), ("1/hour", 3345), ("1/d", 75_345)]
)
def test_rate_is_written_as_in_drf(rate: str, wait: int) -> None:
    assert count(2, rate=rate) == [None, wait]


def test_each_scope_counts_for_itself() -> None:
    count(4)

    assert seconds_to_wait(from_address("192.0.2.7"), "other", "3/min") is None


def test_parallel_requests_are_counted_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocMemCache, "get", slow(LocMemCache.get))
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: count(25, rate="100/min"), range(8)))

    assert sum(wait is None for run in waits for wait in run) == 100


def slow(method: Any) -> Any:
    """Let other threads go first after ``method``."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        threading.Event().wait(0.001)
        return result

    return wrapper


def test_request_without_an_address_is_not_counted() -> None:
    assert count(5, address="") == [None] * 5


@pytest.mark.parametrize(
    "backend", ["django.core.cache.backends.dummy.DummyCache", "tests.test_throttling.BrokenCache"]
)
def test_cache_that_fails_lets_requests_pass(
    settings: Settings, backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = {"default": {"BACKEND": backend}}

    assert count(5) == [None] * 5
    assert len(caplog.messages) == 5
    assert "A request was not counted by its address: " in caplog.messages[0]


class BrokenCache(DummyCache):
    def add(self, *args: Any, **kwargs: Any) -> bool:
        raise ConnectionError("The cache is down.")


# In Django REST framework.


class Throttle(AddressThrottle):
    rate = "3/min"


class ThrottledView(APIView):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = [Throttle]

    def get(self, request: Request) -> Response:
        return Response()


def test_throttle_of_drf_answers_429_with_the_time_to_wait(rf: RequestFactory) -> None:
    responses = [ThrottledView.as_view()(rf.get("/")) for _ in range(4)]

    assert [response.status_code for response in responses] == [200, 200, 200, 429]
    assert responses[3]["Retry-After"] == "45"
