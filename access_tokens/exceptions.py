"""What ``verify()`` raises for a secret that gives no access."""

from __future__ import annotations

import enum


class Reason(enum.StrEnum):
    """Why a secret was refused. For logs and signals, never for the client."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    INACTIVE = "inactive"


class TokenRejected(Exception):
    """The secret gives no access, for ``reason``."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason
