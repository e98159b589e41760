"""The secret: generate, recognise and digest it. Pure functions, no models, no I/O."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from typing import Final

BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
PAIRS: Final = [first + second for first in BASE62 for second in BASE62]
RANDOM_LENGTH: Final = 40
CHECKSUM_LENGTH: Final = 6
PREFIX_PATTERN: Final = r"[a-z][a-z0-9_]{0,19}"

WELL_FORMED: Final = re.compile(
    rf"{PREFIX_PATTERN}_[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}"
)


class Secret(str):
    """A secret whose ``repr`` is masked, so that tracebacks and ``%r`` do not show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<Secret {partial(self)}>"


def generate_secret(prefix: str) -> Secret:
    """Return a new secret: ``prefix``, 238 random bits and a checksum, all in base62.

    The checksum lets a mistyped secret be refused without a query. It proves nothing else.
    """
    random = "".join(secrets.choice(BASE62) for _ in range(RANDOM_LENGTH))
    body = f"{prefix}_{random}"
    return Secret(body + _checksum(body))


def is_well_formed(secret: str) -> bool:
    """Tell whether ``secret`` has the format and the checksum of a secret, whatever its prefix."""
    return (
        isinstance(secret, str)  # None may come from a header that is missing
        and WELL_FORMED.fullmatch(secret) is not None
        and secret.endswith(_checksum(secret[:-CHECKSUM_LENGTH]))
    )


def digest_secret(secret: str) -> str:
    """Return what is stored of ``secret``: the algorithm and its digest, as in a password hash.

    A fast hash is right here: 238 random bits cannot be guessed, however fast the guesses
    (NIST SP 800-63B, look-up secrets).
    """
    return "sha256$" + hashlib.sha256(secret.encode()).hexdigest()


def partial(secret: str) -> str:
    """Return what is displayed of ``secret``: ``pat_Zy4k…9fQx``."""
    start = len(secret) - RANDOM_LENGTH - CHECKSUM_LENGTH + 4
    return f"{secret[:start]}…{secret[-4:]}"


def _checksum(body: str) -> str:
    # Two digits at a time, which takes half as long: whoever guesses shall cost little.
    number = zlib.crc32(body.encode())
    return PAIRS[number // 62**4] + PAIRS[number // 62**2 % 62**2] + PAIRS[number % 62**2]
