"""System checks of the settings. Each names what is wrong and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning
from django.shortcuts import resolve_url
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template
from django.urls import NoReverseMatch
from django.utils.functional import Promise

from .conf import AUTHENTICATION_CLASS, DEFAULTS, authentication_classes, conf, user_settings
from .crypto import PREFIX_PATTERN

LONGEST_EXPIRY = 36_500
CONTENT = "<!-- content of the page -->"
PAGE = f"{{% extends at_base_template %}}{{% block content %}}{CONTENT}{{% endblock %}}"


def is_prefix(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(PREFIX_PATTERN, value) is not None


def is_resolution(value: Any) -> bool:
    return value is None or (isinstance(value, timedelta) and value >= timedelta(0))


def is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def is_url(value: Any) -> bool:
    """Return whether ``resolve_url()`` takes the value."""
    if isinstance(value, str):
        return re.fullmatch(r"\S+", value) is not None
    return isinstance(value, Promise) or callable(value) or hasattr(value, "get_absolute_url")


def is_expiry(value: Any) -> bool:
    return value is None or (type(value) is int and 1 <= value <= LONGEST_EXPIRY)


def is_expiry_list(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and all(map(is_expiry, value))
        and len(set(value)) == len(value)
    )


# Per key: the id of its error, the test of its value and what the value must be.
RULES: dict[str, tuple[str, Callable[[Any], bool], str]] = {
    "PREFIX": ("E003", is_prefix, "1 to 20 characters a-z, 0-9 or _, the first a letter, as 'pat'"),
    "LAST_USED_RESOLUTION": ("E004", is_resolution, "a timedelta that is not negative, or None"),
    "LAST_USED_SYNCHRONOUS_COMMIT": ("E012", bool.__instancecheck__, "True or False"),
    "BASE_TEMPLATE": ("E005", is_text, "the name of a template, as 'base.html'"),
    "API_URL": ("E006", is_url, "a path, as '/api/', a URL or the name of one"),
    "EXPIRY_DAYS": (
        "E007",
        is_expiry_list,
        f"a list of different numbers of days (1 to {LONGEST_EXPIRY}) and None for no expiration",
    ),
    "EXPIRY_DEFAULT_DAYS": ("E008", is_expiry, f"a number of days (1 to {LONGEST_EXPIRY}) or None"),
}


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
    return errors or [*unlisted_default(), *unknown_url()]


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


def unknown_url() -> Iterator[CheckMessage]:
    try:
        if "API_URL" in user_settings():
            resolve_url(conf.API_URL)
    except NoReverseMatch as error:
        yield Warning(
            f"ACCESS_TOKENS['API_URL'] leads nowhere: {error}",
            hint="Name a URL of your site, or write a path that starts with a slash.",
            id="access_tokens.W003",
        )


def check_base_template(**kwargs: Any) -> list[CheckMessage]:
    """Check that ``BASE_TEMPLATE`` can be loaded and shows the block that the pages fill."""
    if check_settings():
        return []  # First things first.
    name = conf.BASE_TEMPLATE
    try:
        # Of several engines, the one that renders the pages.
        engine = get_template("access_tokens/token_list.html").backend  # type: ignore[attr-defined]  # not in the stubs
    except TemplateDoesNotExist:
        return []  # A site without Django templates has no page.
    try:
        engine.get_template(name)
    except (TemplateDoesNotExist, TemplateSyntaxError) as error:
        return [
            Error(
                f"ACCESS_TOKENS['BASE_TEMPLATE'] is {name!r}, which cannot be loaded: {error}.",
                hint="Name a template of your site, or remove the key for the built-in page.",
                id="access_tokens.E010",
            )
        ]
    try:
        html = engine.from_string(PAGE).render({"at_base_template": name})
    except Exception:
        return []  # It needs a request.
    if CONTENT in html:
        return []
    return [
        Warning(
            f"ACCESS_TOKENS['BASE_TEMPLATE'] is {name!r}, which does not show its block 'content'.",
            hint="Put {% block content %}{% endblock %} where the pages belong. If it shows to "
            "users who are logged in, add this id to SILENCED_SYSTEM_CHECKS.",
            id="access_tokens.W004",
        )
    ]


def check_default_authentication(**kwargs: Any) -> list[CheckMessage]:
    """Check that DRF asks this app, and asks it first."""
    if not apps.is_installed("rest_framework"):
        return []
    classes = authentication_classes()
    if not any(classes):
        return [
            Warning(
                "REST_FRAMEWORK['DEFAULT_AUTHENTICATION_CLASSES'] lacks AccessTokenAuthentication.",
                hint=f"Put {AUTHENTICATION_CLASS!r} first. If your views name it themselves, "
                "add this id to SILENCED_SYSTEM_CHECKS.",
                id="access_tokens.W001",
            )
        ]
    if classes[0] is None:
        return [
            Warning(
                "AccessTokenAuthentication is not the first of "
                "REST_FRAMEWORK['DEFAULT_AUTHENTICATION_CLASSES'].",
                hint="Put it first. Otherwise a session wins over the token of a request, and a "
                "refused request gets the challenge of another class, or 403 instead of 401.",
                id="access_tokens.W002",
            )
        ]
    return []
