"""System checks of the settings. Each names what is wrong and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.checks import CheckMessage, Error, Warning
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch

from ..conf import DEFAULTS, conf, user_settings
from ..legacy import FORMATS
from ..limits import LONGEST_EXPIRY
from .links import documented
from .values import (
    is_duration,
    is_expiry,
    is_expiry_list,
    is_formats,
    is_limit,
    is_prefix,
    is_rate,
    is_rule,
    is_scopes,
    is_text,
    is_url,
)

DURATION = f"a timedelta of 0 to {LONGEST_EXPIRY} days, or None"
# Per key: the id of its error, the test of its value and what the value must be.
RULES: dict[str, tuple[str, Callable[[Any], bool], str]] = {
    "PREFIX": (
        "E003",
        is_prefix,
        "1 to 20 characters a-z, 0-9 or _, the first a letter, such as 'pat'",
    ),
    "LAST_USED_RESOLUTION": ("E004", is_duration, DURATION),
    "LAST_USED_SYNCHRONOUS_COMMIT": ("E012", bool.__instancecheck__, "True or False"),
    "BASE_TEMPLATE": ("E005", is_text, "the name of a template, such as 'base.html'"),
    "API_URL": ("E006", is_url, "a path, such as '/api/', a URL or the name of one"),
    "EXPIRY_DAYS": (
        "E007",
        is_expiry_list,
        f"a list of different numbers of days (1 to {LONGEST_EXPIRY}) and None for no expiration",
    ),
    "EXPIRY_DEFAULT_DAYS": ("E008", is_expiry, f"a number of days (1 to {LONGEST_EXPIRY}) or None"),
    "MAX_EXPIRY_DAYS": ("E013", is_expiry, f"a number of days (1 to {LONGEST_EXPIRY}) or None"),
    "MAX_TOKENS_PER_USER": ("E014", is_limit, "a number of at least 1, or None"),
    "ROTATION_OVERLAP": ("E015", is_duration, DURATION),
    "SCOPES": (
        "E016",
        is_scopes,
        "a dictionary from names to labels that has 'read' and 'write'. A name has no spaces, "
        "quotes, backslashes or characters beyond ASCII",
    ),
    "EMAIL_ON_CREATION": ("E017", bool.__instancecheck__, "True or False"),
    "MAY_CREATE": (
        "E020",
        is_rule,
        "a function of a user, or its path, such as 'mysite.rules.may_create_tokens', or None",
    ),
    "SELF_ROTATION": ("E021", bool.__instancecheck__, "True or False"),
    "LEGACY_FORMATS": ("E022", is_formats, f"a list of any of {', '.join(map(repr, FORMATS))}"),
    "REJECTION_RATE": ("E023", is_rate, "a number per period, such as '100/min', or None"),
}


@documented
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Check each key of ``ACCESS_TOKENS`` and its value."""
    configured = user_settings()
    if not isinstance(configured, dict):
        return [
            Error(
                "ACCESS_TOKENS is not a dictionary.",
                hint='For example: ACCESS_TOKENS = {"PREFIX": "pat"}.',
                id="access_tokens.E001",
            )
        ]
    errors = [*unknown_keys(configured), *wrong_values(configured)]
    return errors or [
        *unlisted_default(),
        *days_beyond_the_limit(),
        *unknown_url(),
        *cache_that_cannot_count(),
    ]


def unknown_keys(configured: Collection[Any]) -> Iterator[CheckMessage]:
    for key in configured:
        if key not in DEFAULTS:
            near = difflib.get_close_matches(str(key).upper(), DEFAULTS, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"The keys are {', '.join(DEFAULTS)}."
            yield Error(
                f"There is no setting ACCESS_TOKENS[{key!r}].", hint=hint, id="access_tokens.E002"
            )


def wrong_values(configured: dict[Any, Any]) -> Iterator[CheckMessage]:
    for key, (number, is_right, expected) in RULES.items():
        if key in configured and not is_right(configured[key]):
            yield Error(
                f"ACCESS_TOKENS[{key!r}] is {configured[key]!r}.",
                hint=f"It must be {expected}.",
                id=f"access_tokens.{number}",
            )


def unlisted_default() -> Iterator[CheckMessage]:
    if conf.EXPIRY_DAYS and conf.EXPIRY_DEFAULT_DAYS not in conf.EXPIRY_DAYS:
        yield Error(
            f"ACCESS_TOKENS['EXPIRY_DEFAULT_DAYS'] is {conf.EXPIRY_DEFAULT_DAYS!r}, "
            "which is not among ACCESS_TOKENS['EXPIRY_DAYS'].",
            hint=f"Choose one of {', '.join(map(repr, conf.EXPIRY_DAYS))}.",
            id="access_tokens.E009",
        )


def days_beyond_the_limit() -> Iterator[CheckMessage]:
    limit = conf.MAX_EXPIRY_DAYS
    if limit is None or "EXPIRY_DAYS" not in user_settings():
        return
    beyond = [days for days in conf.EXPIRY_DAYS if days is None or days > limit]
    if beyond:
        yield Warning(
            f"ACCESS_TOKENS['EXPIRY_DAYS'] has {', '.join(map(repr, beyond))}, which is more than "
            f"ACCESS_TOKENS['MAX_EXPIRY_DAYS'], {limit}.",
            hint=f"The form offers {limit} days instead. Remove these values.",
            id="access_tokens.W010",
        )


def unknown_url() -> Iterator[CheckMessage]:
    if isinstance(conf.API_URL, str) and "/" in conf.API_URL:
        return
    try:
        resolve_url(conf.API_URL)
    except (AttributeError, ImportError):
        return  # There is no URLconf, or Django itself says what is wrong with it.
    except NoReverseMatch as error:
        yield Warning(
            f"ACCESS_TOKENS['API_URL'] leads nowhere: {error}",
            hint="Name a URL of your site, or write a path that starts with a slash.",
            id="access_tokens.W003",
        )


def cache_that_cannot_count() -> Iterator[CheckMessage]:
    # A cache without an incr() of its own reads a number and writes another one.
    if conf.REJECTION_RATE is not None and type(caches["default"]).incr is BaseCache.incr:
        yield Warning(
            "ACCESS_TOKENS['REJECTION_RATE'] needs a default cache that counts atomically, "
            f"which {type(caches['default']).__name__} does not.",
            hint="Use Redis or Memcached.",
            id="access_tokens.W007",
        )
