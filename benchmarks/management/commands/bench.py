"""``make bench``."""

import platform
from importlib.metadata import version
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection, connections
from django.test.utils import setup_databases, teardown_databases

from benchmarks import comparisons

PEERS = ["django-rest-knox", "djangorestframework-api-key", "djangorestframework-simplejwt"]


class Command(BaseCommand):
    help = """Compare the authentication class with its peers, and with itself. Each number is a
        ratio: the median of many rounds. The command creates test databases and removes them
        again, by default in memory (SQLite) or on the server that DATABASE_URL names."""
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rounds", type=int, default=300, help="how often each call is timed")
        parser.add_argument("--tokens", type=int, default=1_000_000, help="how many are many")

    def handle(self, *, rounds: int, tokens: int, **options: Any) -> None:
        databases = setup_databases(verbosity=0, interactive=False)
        try:
            print_versions()
            comparisons.compare_peers(rounds)
            print()
            comparisons.compare_numbers(rounds, tokens)
            if connection.vendor == "postgresql":
                comparisons.compare_prepared(rounds)
                comparisons.compare_recording(max(1, rounds // 15))  # a burst is long
        finally:
            connections.close_all()
            teardown_databases(databases, verbosity=0)


def print_versions() -> None:
    database = ".".join(map(str, connection.get_database_version()))
    print(f"Python {platform.python_version()}, {connection.display_name} {database}")
    drivers = ["psycopg"] if connection.vendor == "postgresql" else []
    for name in ["Django", "djangorestframework", *PEERS, *drivers]:
        print(name, version(name))
    print()
