from typing import Any


class ReplicaRouter:
    """Read from a replica, and write to the default database."""

    def __init__(self, replica: str) -> None:
        self.replica = replica

    def db_for_read(self, model: type, **hints: Any) -> str:
        return self.replica

    def db_for_write(self, model: type, **hints: Any) -> str:
        return "default"

    def allow_relation(self, *objects: Any, **hints: Any) -> bool:
        return True
