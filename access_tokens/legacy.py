"""The formats of secrets of other packages, for sites that move their tokens here."""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from .conf import conf


class Format(NamedTuple):
    """How the secrets of a package look, and how they are sent and digested."""

    keyword: str
    shape: str
    algorithm: str


# No text has two of these shapes, or one of them and the shape of our own secrets.
FORMATS: Final = {
    "authtoken": Format("Token", r"[0-9a-f]{40}", "sha256"),
    # A site may have chosen a prefix.
    "knox": Format("Token", r"[!-~]{0,10}[0-9a-f]{64}", "sha512"),
    "api-key": Format("Api-Key", r"[0-9A-Za-z]{8}\.[0-9A-Za-z]{32}", "sha512"),
}
NAMES: Final = tuple(FORMATS)
SHAPES: Final = re.compile("|".join(f"({format.shape})" for format in FORMATS.values()))


def recognize(secret: str) -> str | None:
    """Return the digest of ``secret`` if it has a format in ``LEGACY_FORMATS``, otherwise None."""
    name = format_of(secret) if isinstance(secret, str) else None
    return None if name is None else digest_secret(secret, FORMATS[name].algorithm)


def format_of(text: str) -> str | None:
    """Return the one of ``LEGACY_FORMATS`` that ``text`` has, or None."""
    match = SHAPES.fullmatch(text)
    if match is None:
        return None
    name = NAMES[(match.lastindex or 0) - 1]
    return name if name in conf.LEGACY_FORMATS else None


def digest_secret(secret: str, algorithm: str) -> str:
    return f"{algorithm}${hashlib.new(algorithm, secret.encode()).hexdigest()}"


def is_keyword(scheme: str) -> bool:
    """Return whether a scheme, in lower case, is the one of a format in ``LEGACY_FORMATS``."""
    names = (name for name in conf.LEGACY_FORMATS if name in FORMATS)
    return any(scheme == FORMATS[name].keyword.lower() for name in names)
