"""The links from the messages of the checks to the documentation."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.checks import CheckMessage

DOCUMENTATION = "https://drf-access-tokens.readthedocs.io/en/stable/checks.html"

Check = Callable[..., list[CheckMessage]]


def documented(check: Check) -> Check:
    """Let the hint of each message of a check end with a link to its documentation."""

    @wraps(check)
    def wrapper(**kwargs: Any) -> list[CheckMessage]:
        messages = check(**kwargs)
        for message in messages:
            anchor = str(message.id).lower().translate({ord("."): "-", ord("_"): "-"})
            message.hint = f"{message.hint} See {DOCUMENTATION}#{anchor}"
        return messages

    return wrapper
