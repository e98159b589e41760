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
    """The secret gives no access, for ``reason``.

    ``retry_after`` is the number of seconds to wait if too many secrets of the same address were
    refused, otherwise None.
    """

    def __init__(self, reason: Reason, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
