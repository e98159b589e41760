"""What the values of the settings must be."""

from __future__ import annotations

import re
from datetime import timedelta
from inspect import iscoroutinefunction
from typing import Any

from django.utils.functional import Promise
from django.utils.module_loading import import_string

from ..crypto import PREFIX_PATTERN
from ..legacy import FORMATS
from ..limits import LONGEST_EXPIRY

# A scope-token of OAuth (RFC 6749, 3.3).
SCOPE_PATTERN = r"[\x21\x23-\x5B\x5D-\x7E]+"


def is_prefix(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(PREFIX_PATTERN, value) is not None


def is_duration(value: Any) -> bool:
    # A longer one overflows.
    limit = timedelta(days=LONGEST_EXPIRY)
    return value is None or (isinstance(value, timedelta) and timedelta(0) <= value <= limit)


def is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def is_url(value: Any) -> bool:
    """Return whether ``resolve_url()`` takes the value: a path, a URL, a name or an object."""
    if isinstance(value, str):
        return re.fullmatch(r"(https?:/)?/\S*|[^\s/]+", value) is not None
    return isinstance(value, Promise) or callable(value) or hasattr(value, "get_absolute_url")


def is_expiry(value: Any) -> bool:
    return value is None or (type(value) is int and 1 <= value <= LONGEST_EXPIRY)


def is_expiry_list(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and all(map(is_expiry, value))
        and len(set(value)) == len(value)
    )


def is_limit(value: Any) -> bool:
    return value is None or (type(value) is int and value >= 1)


def is_scopes(value: Any) -> bool:
    return isinstance(value, dict) and (
        not value
        or (
            {"read", "write"} <= value.keys()
            and all(isinstance(n, str) and re.fullmatch(SCOPE_PATTERN, n) for n in value)
            and all(is_text(label) or isinstance(label, Promise) for label in value.values())
        )
    )


def is_rule(value: Any) -> bool:
    """Return whether the value is None, or something to call or the path of it."""
    if isinstance(value, str):
        try:
            value = import_string(value)
        except ImportError:
            return False
    # A coroutine is always true.
    return value is None or (callable(value) and not iscoroutinefunction(value))


def is_formats(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(name in [*FORMATS] for name in value)


def is_rate(value: Any) -> bool:
    return value is None or (
        isinstance(value, str) and re.fullmatch(r"0*[1-9][0-9]*/[smhd][a-z]*", value) is not None
    )
