"""What is compared. Each comparison prints its rows as it goes."""

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from statistics import median
from threading import Barrier
from typing import NamedTuple

from django.db import connection, connections
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from access_tokens.models import Token

from .calls import authentication, whole_site, whole_view
from .measure import Call, measure, ratio
from .peers import ACCESS_TOKENS, PEERS, REFERENCE, ROTATED, SCOPED, Peer, create_user
from .settings import Router

ALWAYS, SECOND, DAY = timedelta(0), timedelta(seconds=1), timedelta(days=1)

FEW = 1_000
CONNECTIONS = 16
# A burst of all connections takes more than a second, so that each one has a use to write.
REQUESTS_PER_CONNECTION = 100


class Case(NamedTuple):
    title: str
    call: Callable[[Peer, str], Call]
    credential: Callable[[Peer], str]
    peers: Sequence[Peer] = PEERS
    resolution: timedelta = SECOND


# The others record nothing, and have neither scopes nor rotation.
OURS = [REFERENCE, ACCESS_TOKENS]
CASES = [
    Case("valid, its second already recorded", authentication, Peer.valid),
    Case("valid, each request written", authentication, Peer.valid, OURS, ALWAYS),
    Case("valid, with scopes", authentication, Peer.valid, [REFERENCE, SCOPED]),
    Case("old secret during the overlap", authentication, Peer.valid, [REFERENCE, ROTATED]),
    Case("well-formed but unknown", authentication, Peer.unknown),
    Case("mistyped", authentication, Peer.mistyped),
    Case("a whole view, valid", whole_view, Peer.valid),
    Case("a whole view, mistyped", whole_view, Peer.mistyped),
]


def compare_peers(rounds: int) -> None:
    """Print the ratios to the reference, a row for each case and a column for each peer."""
    print_row("", *(peer.name for peer in PEERS), "queries")
    for case in CASES:
        with resolution(case.resolution):
            calls = {peer.name: case.call(peer, case.credential(peer)) for peer in case.peers}
            samples = measure(calls, rounds)
            with CaptureQueriesContext(connection) as queries:
                calls[ACCESS_TOKENS.name]()
        cells = {name: f"{ratio(samples, name, REFERENCE.name):.3f}" for name in samples}
        cells[REFERENCE.name] = f"{median(samples[REFERENCE.name]) * 1e6:.0f} µs"
        ratios = (cells.get(peer.name, "") for peer in PEERS)
        print_row(case.title, *ratios, str(len(queries)))


def compare_numbers(rounds: int, number: int) -> None:
    """Print what a request costs among many tokens, as a ratio to that among few."""
    few, many = call_among(FEW, "few"), call_among(number, "many")
    for title, value in [("already recorded", DAY), ("each written", ALWAYS)]:
        with resolution(value):
            print_ratio(f"{number:,} tokens to {FEW:,}, {title}", rounds, many, few)


def call_among(number: int, using: str) -> Call:
    """Create ``number`` tokens; return a call that uses one of each user in turn."""
    Router.alias = using
    credentials = []
    users = max(100, number // 1_000)
    for user in [create_user() for _ in range(users)]:
        Token.objects.bulk_create(
            Token(user=user, name=f"{index}", digest=f"sha256${secrets.token_hex(32)}")
            for index in range(1, number // users)
        )
        credentials.append(ACCESS_TOKENS.issue(user))
    if connections[using].vendor == "postgresql":
        with connections[using].cursor() as cursor:
            # Otherwise the server does it in the middle of a measurement.
            cursor.execute("VACUUM ANALYZE")
    call = authentication(ACCESS_TOKENS, *credentials, using=using)
    with resolution(DAY):
        for _ in credentials:
            call()
    return call


def compare_prepared(rounds: int) -> None:
    """Print the first ratio again, with prepared statements for access_tokens alone."""
    Router.alias = "default"
    reference = authentication(REFERENCE, REFERENCE.valid())
    prepared = authentication(ACCESS_TOKENS, ACCESS_TOKENS.valid(), using="prepared")
    print_ratio(f"prepared statements to {REFERENCE.name}", rounds, prepared, reference)


def compare_recording(rounds: int) -> None:
    """Print the throughput of connections that share a token, as a ratio to not recording."""
    Router.alias = "atomic"
    requests = whole_site(ACCESS_TOKENS.valid(), REQUESTS_PER_CONNECTION)
    barrier = Barrier(CONNECTIONS)

    def run(call: Call) -> None:
        barrier.wait()
        call()

    def in_each_thread(call: Call, value: timedelta | None) -> None:
        with resolution(value):
            list(pool.map(run, [call] * CONNECTIONS))

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        recording, silent = (partial(in_each_thread, requests, value) for value in (SECOND, None))
        # A throughput is the inverse of a time.
        print_ratio(
            f"throughput of {CONNECTIONS} connections, one token", rounds, silent, recording
        )
        in_each_thread(connections.close_all, None)


def resolution(value: timedelta | None) -> override_settings:
    scopes = {"read": "Read", "write": "Write"}
    return override_settings(ACCESS_TOKENS={"LAST_USED_RESOLUTION": value, "SCOPES": scopes})


def print_ratio(title: str, rounds: int, call: Call, reference: Call) -> None:
    samples = measure({"call": call, "reference": reference}, rounds)
    print_row(title, f"{ratio(samples, 'call', 'reference'):.3f}")


def print_row(title: str, *cells: str) -> None:
    row = " ".join([f"{title:44}", *(f"{cell:>13}" for cell in cells)])
    print(row.rstrip(), flush=True)
