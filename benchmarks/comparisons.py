"""What is compared. Each comparison prints its rows as it goes."""

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from statistics import median
from threading import Barrier
from typing import NamedTuple

from django.core.management import call_command
from django.db import connection, connections
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from access_tokens.models import Token

from .calls import authentication, whole_site, whole_view
from .measure import Call, measure, ratio
from .peers import ACCESS_TOKENS, PEERS, REFERENCE, Peer, create_user
from .router import Router

ALWAYS, SECOND, DAY = timedelta(0), timedelta(seconds=1), timedelta(days=1)

FEW = 1_000
CONNECTIONS = 16
# A burst of all connections takes more than a second, so that each one has a use to write.
REQUESTS_PER_CONNECTION = 100


class Case(NamedTuple):
    title: str
    call: Callable[[Peer, str], Call]
    credential: Callable[[Peer], str]
    goal: str = ""
    resolution: timedelta = SECOND
    peers: Sequence[Peer] = PEERS
    legacy_formats: Sequence[str] = ()


def limited(peer: Peer) -> str:
    """Return a credential with scopes, if it has any."""
    return peer.valid() if peer is REFERENCE else f"Bearer {create_token(scopes=['read'])[1]}"


def old(peer: Peer) -> str:
    """Return a credential from before a rotation, if there is one."""
    if peer is REFERENCE:
        return peer.valid()
    token, secret = create_token()
    Token.objects.rotate(token)
    return f"Bearer {secret}"


def imported(peer: Peer) -> str:
    """Return a credential of the reference, whose token was imported."""
    credential = REFERENCE.valid()
    if peer is not REFERENCE:
        call_command("import_access_tokens", "authtoken", stdout=StringIO(), stderr=StringIO())
    return credential


def create_token(scopes: list[str] | None = None) -> tuple[Token, str]:
    return Token.objects.create_token(user=create_user(), name="benchmark", scopes=scopes)


# The others record nothing, and have neither scopes nor rotation nor an import.
OURS = [REFERENCE, ACCESS_TOKENS]
CASES = [
    Case("valid, its second already recorded", authentication, Peer.valid, "≤ 0.25 / 0.50"),
    Case(
        "valid, each request written",
        authentication,
        Peer.valid,
        "≤ 0.35 / 1.00",
        resolution=ALWAYS,
        peers=OURS,
    ),
    Case("valid, with scopes", authentication, limited, "≤ 1.03 of the first", peers=OURS),
    Case("old secret during the overlap", authentication, old, peers=OURS),
    Case(
        "imported from authtoken",
        authentication,
        imported,
        peers=OURS,
        legacy_formats=["authtoken"],
    ),
    Case("well-formed but unknown", authentication, Peer.unknown, "≤ 0.40 / 0.90"),
    Case("mistyped", authentication, Peer.mistyped, "≤ 0.05, no query"),
    Case("a whole view, valid", whole_view, Peer.valid, "≤ 0.45 / 0.65"),
    Case("a whole view, mistyped", whole_view, Peer.mistyped),
]


def compare_peers(rounds: int) -> None:
    """Print the ratios to the reference, a row for each case and a column for each peer."""
    print_row("", *(peer.name for peer in PEERS), "queries", "goal (SQLite / PostgreSQL)")
    for case in CASES:
        with resolution(case.resolution, case.legacy_formats):
            calls = {peer.name: case.call(peer, case.credential(peer)) for peer in case.peers}
            samples = measure(calls, rounds)
            with CaptureQueriesContext(connection) as queries:
                calls[ACCESS_TOKENS.name]()
        cells = {name: f"{ratio(samples, name, REFERENCE.name):.3f}" for name in samples}
        cells[REFERENCE.name] = f"{median(samples[REFERENCE.name]) * 1e6:.0f} µs"
        ratios = (cells.get(peer.name, "") for peer in PEERS)
        print_row(case.title, *ratios, str(len(queries)), case.goal)


def compare_numbers(rounds: int, many: int) -> None:
    """Print what a request costs among many tokens, as a ratio to that among few."""
    calls = {"few": call_among(FEW, "few"), "many": call_among(many, "many")}
    for title, value in [("already recorded", DAY), ("each written", ALWAYS)]:
        with resolution(value):
            growth = ratio(measure(calls, rounds), "many", "few")
        print_row(f"{many:,} tokens to {FEW:,}, {title}", f"{growth:.3f}", "≤ 1.15")


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
    calls = {
        "reference": authentication(REFERENCE, REFERENCE.valid()),
        "prepared": authentication(ACCESS_TOKENS, ACCESS_TOKENS.valid(), using="prepared"),
    }
    share = ratio(measure(calls, rounds), "prepared", "reference")
    print_row(f"prepared statements to {REFERENCE.name}", f"{share:.3f}")


def compare_recording(rounds: int) -> None:
    """Print the throughput of connections that share a token, as a ratio to not recording."""
    Router.alias = "atomic"
    requests = whole_site(ACCESS_TOKENS.valid(), REQUESTS_PER_CONNECTION)
    barrier = Barrier(CONNECTIONS)

    def in_each_thread(call: Call, value: timedelta | None) -> None:
        def run(number: int) -> None:
            barrier.wait()
            call()

        with resolution(value):
            list(pool.map(run, range(CONNECTIONS)))

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        calls = {
            "recording": lambda: in_each_thread(requests, SECOND),
            "not recording": lambda: in_each_thread(requests, None),
        }
        share = ratio(measure(calls, rounds), "not recording", "recording")
        in_each_thread(connections.close_all, None)
    print_row(f"throughput of {CONNECTIONS} connections, one token", f"{share:.3f}", "≥ 0.95")


def resolution(value: timedelta | None, legacy_formats: Sequence[str] = ()) -> override_settings:
    return override_settings(
        ACCESS_TOKENS={
            "LAST_USED_RESOLUTION": value,
            "SCOPES": {"read": "Read", "write": "Write"},
            "LEGACY_FORMATS": legacy_formats,
        }
    )


def print_row(title: str, *cells: str) -> None:
    row = " ".join([f"{title:44}", *(f"{cell:>13}" for cell in cells)])
    print(row.rstrip(), flush=True)
