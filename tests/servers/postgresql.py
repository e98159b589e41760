"""What the tests on a primary and its standby share."""

import time
from typing import Any

from django.db import connections


def query(alias: str, sql: str, *params: Any) -> Any:
    """Return the first value of a statement's result."""
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()[0]


def wait_for_standby() -> None:
    """Wait until the standby has all that the primary has."""
    position = query("default", "SELECT pg_current_wal_lsn()")
    while query("server2", "SELECT pg_last_wal_replay_lsn() < %s::pg_lsn", position):
        time.sleep(0.01)
