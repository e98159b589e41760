"""How long a request takes, as a ratio to the reference."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import cycle
from typing import Any

from django.db import connection
from django.test import override_settings
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from .databases import using
from .measure import measure, microseconds, ratio
from .peers import ACCESS_TOKENS, PEERS, REFERENCE, Peer
from .report import print_table

Call = Callable[[], object]


def authentication(peer: Peer, *credentials: str) -> Call:
    """Return a call that authenticates a request, by another of ``credentials`` each time."""
    authenticate = peer.authentication().authenticate
    requests = cycle([Request(http_request(credential)) for credential in credentials])

    def call() -> None:
        with suppress(AuthenticationFailed):
            authenticate(next(requests))

    return call


def on(alias: str, call: Call) -> Call:
    """Return ``call`` on another database."""

    def call_there() -> None:
        with using(alias):
            call()

    return call_there


def view(peer: Peer, credential: str) -> Call:
    """Return a call that lets a view answer a request."""

    class View(APIView):
        authentication_classes = [peer.authentication]
        permission_classes = []

        def get(self, request: Request) -> Response:
            return Response({"detail": "Hello"})

    answer, request = View.as_view(), http_request(credential)
    return lambda: answer(request).render()


def http_request(credential: str) -> Any:
    return APIRequestFactory().get("/", headers={"Authorization": credential})


@dataclass(frozen=True)
class Case:
    title: str
    make_call: Callable[[Peer], Call]
    # The highest ratio that is wanted, by database.
    targets: dict[str, float]
    resolution: timedelta = timedelta(seconds=1)
    peers: list[Peer] = field(default_factory=lambda: PEERS)


CASES = [
    Case(
        "valid, its second already recorded",
        lambda peer: authentication(peer, peer.valid()),
        {"sqlite": 0.25, "postgresql": 0.50},
    ),
    Case(
        "valid, each request written",
        lambda peer: authentication(peer, peer.valid()),
        {"sqlite": 0.35, "postgresql": 1.00},
        resolution=timedelta(0),
        # The others record nothing.
        peers=[REFERENCE, ACCESS_TOKENS],
    ),
    Case(
        "well-formed but unknown",
        lambda peer: authentication(peer, peer.unknown()),
        {"sqlite": 0.30, "postgresql": 0.50},
    ),
    Case(
        "mistyped",
        lambda peer: authentication(peer, peer.mistyped()),
        {"sqlite": 0.02, "postgresql": 0.02},
    ),
    Case(
        "a whole view, valid",
        lambda peer: view(peer, peer.valid()),
        {"sqlite": 0.45, "postgresql": 0.65},
    ),
    Case("a whole view, mistyped", lambda peer: view(peer, peer.mistyped()), targets={}),
]


def compare_peers(rounds: int) -> None:
    """Print each case as a row and each peer as a column."""
    rows = [["", *(peer.name for peer in PEERS), "target"]]
    for case in CASES:
        calls = {peer.name: case.make_call(peer) for peer in case.peers}
        with override_settings(ACCESS_TOKENS={"LAST_USED_RESOLUTION": case.resolution}):
            samples = measure(calls, rounds, case.title)
        ratios = {name: f"{ratio(samples, name, REFERENCE.name):.3f}" for name in samples}
        ratios[REFERENCE.name] = f"{microseconds(samples, REFERENCE.name):.0f} µs"
        target = case.targets.get(connection.vendor)
        rows.append(
            [
                case.title,
                *(ratios.get(peer.name, "") for peer in PEERS),
                f"≤ {target:.2f}" if target else "",
            ]
        )
    print_table(rows)


def compare_prepared(rounds: int) -> None:
    """Print what prepared statements bring beside the reference without them."""
    calls = {
        "reference": authentication(REFERENCE, REFERENCE.valid()),
        "prepared": on("prepared", authentication(ACCESS_TOKENS, ACCESS_TOKENS.valid())),
    }
    share = ratio(measure(calls, rounds, "prepared"), "prepared", "reference")
    print(f"\naccess_tokens with them beside {REFERENCE.name} without, first row: {share:.3f}")
