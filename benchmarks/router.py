from typing import Any


class Router:
    """Send every query to one database, which a benchmark chooses."""

    alias = "default"

    def db_for_read(self, model: type, **hints: Any) -> str:
        return self.alias

    db_for_write = db_for_read
