"""The secret: generate, recognize and digest it. No models, no I/O."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from typing import Final

from . import legacy

BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_LENGTH: Final = 40
CHECKSUM_LENGTH: Final = 6
PREFIX_PATTERN: Final = r"[a-z][a-z0-9_]{0,19}"

SHAPE: Final = re.compile(rf"{PREFIX_PATTERN}_[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}")


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


def has_shape(text: str) -> bool:
    """Return whether ``text`` looks like a secret, whatever its prefix and checksum."""
    return SHAPE.fullmatch(text) is not None


def is_well_formed(secret: str) -> bool:
    """Return whether ``secret`` has the shape and the checksum of a secret, whatever its prefix."""
    return (
        isinstance(secret, str)  # a missing header may be passed as None
        and has_shape(secret)
        and secret.endswith(_checksum(secret[:-CHECKSUM_LENGTH]))
    )


def recognize(secret: str) -> str | None:
    """Return the digest of ``secret`` if it is well-formed or of a legacy format, otherwise None."""
    return digest_secret(secret) if is_well_formed(secret) else legacy.recognize(secret)


def digest_secret(secret: str) -> str:
    """Return what is stored of ``secret``: the algorithm and its digest, as in a password hash.

    A fast hash is right here: 238 random bits cannot be guessed, however fast the guesses
    (NIST SP 800-63B, section on look-up secrets).
    """
    return "sha256$" + hashlib.sha256(secret.encode()).hexdigest()


def partial(secret: str) -> str:
    """Return what is displayed of ``secret``: ``pat_Zy4k…9fQx``."""
    # A secret of another package may have no prefix, and another length.
    prefix, underscore, _random = secret.rpartition("_")
    return f"{secret[: len(prefix + underscore) + 4]}…{secret[-4:]}"


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    while len(digits) < CHECKSUM_LENGTH:
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return digits
