"""The headers of RFC 6750: ``Authorization`` in a request, ``WWW-Authenticate`` in a response."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from django.http import HttpRequest

from .legacy import is_keyword

if TYPE_CHECKING:
    from rest_framework.request import Request

KEYWORD: Final = "Bearer"
REALM: Final = "api"

# A token in the sense of HTTP (RFC 9110, 5.6.2 and 11.1).
SCHEME: Final = re.compile(r"[\w!#$%&'*+.^`|~-]*", re.ASCII)


def has_secret(request: HttpRequest) -> bool:
    """Return whether ``request`` has the header of a token, good or bad."""
    scheme = split_header(request)[0].lower()
    return scheme == KEYWORD.lower() or (scheme != "" and is_keyword(scheme))


def get_secret(request: HttpRequest) -> str:
    """Return what follows the keyword in the header of ``request``, or an empty string.

    Pass it on without a variable, since error reports show variables.
    """
    return split_header(request)[1] if has_secret(request) else ""


def split_header(request: HttpRequest | Request) -> tuple[str, str]:
    """Return the scheme of the ``Authorization`` header and what follows it. Both may be empty."""
    # DRF's request looks up META on Django's request, which takes a while.
    http_request = getattr(request, "_request", request)
    header = http_request.META.get("HTTP_AUTHORIZATION", "").strip(" \t")
    scheme = SCHEME.match(header)[0]  # type: ignore[index]  # matches anything
    return scheme, header[len(scheme) :].lstrip(" ")


def challenge(keyword: str = KEYWORD, realm: str = REALM, **parameters: str) -> str:
    """Return a challenge of these parameters, such as ``error``."""
    values = {"realm": realm} | parameters
    return f"{keyword} " + ", ".join(f'{name}="{value}"' for name, value in values.items())
