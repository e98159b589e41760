"""``make bench``."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection, connections
from django.test.utils import setup_databases, teardown_databases

from benchmarks.databases import using
from benchmarks.growth import compare_sizes, compare_sizes_of_one_user
from benchmarks.peers import PEERS
from benchmarks.plans import explain_pages
from benchmarks.report import print_heading
from benchmarks.settings import SIZES
from benchmarks.speed import compare_peers, compare_prepared

DRIVERS = {"mysql": ["mysqlclient"], "postgresql": ["psycopg"]}
OTHERS = [peer.distribution for peer in PEERS]


class Command(BaseCommand):
    help = """Compare the authentication class with its peers, and with itself among many tokens.
        All that are compared run in one process and take turns. Times depend on the machine, so
        what counts are the ratios, each a median and beside its target: to TokenAuthentication
        of Django REST framework where the peers are compared, and to the fewest tokens where
        their number grows. It all happens in a test database that is made and removed again;
        DATABASE_URL says where, and without it that is SQLite in memory."""
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rounds", type=int, default=300, help="how often each has its turn")
        parser.add_argument(
            "--without-million", action="store_true", help="stop growing at 100,000 tokens"
        )

    def handle(self, *, rounds: int, without_million: bool, **options: Any) -> None:
        sizes = SIZES[:-1] if without_million else SIZES
        aliases = dict.fromkeys(["default", "prepared", *map(str, sizes)])
        databases = setup_databases(verbosity=0, interactive=False, aliases=aliases)
        try:
            print(versions())
            print_heading("A request beside the peers: authenticate() alone, and a whole view")
            compare_peers(rounds)
            if "prepared" in connections:
                print_heading("The same with server-side binding and prepared statements")
                with using("prepared"):
                    compare_peers(rounds)
                compare_prepared(rounds)
            print_heading("A request among more and more tokens")
            compare_sizes_of_one_user(rounds)
            compare_sizes(rounds, sizes)
            explain_pages(*sizes[:2])
        finally:
            connections.close_all()
            teardown_databases(databases, verbosity=0)


def versions() -> str:
    database = ".".join(map(str, connection.get_database_version()))
    distributions = ["Django", *DRIVERS.get(connection.vendor, []), *OTHERS]
    lines = [
        f"Python {platform.python_version()}",
        f"{connection.display_name} {database}",
        *(f"{name} {version(name)}" for name in distributions),
    ]
    return "\n".join(lines)
