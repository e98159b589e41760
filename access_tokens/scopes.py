"""What a view needs, and what a token has.

Scopes are off unless a site sets ``SCOPES``. The names are those of OAuth (RFC 6749, 3.3).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from .conf import conf, own_class

if TYPE_CHECKING:
    from .models import Token

logger = logging.getLogger("access_tokens")

SAFE_METHODS: Final = {"GET", "HEAD", "OPTIONS"}


def needed_scopes(required: Any, method: str, action: str | None = None) -> Sequence[str]:
    """Return the scopes that a request needs, all of them.

    ``required`` is the ``required_scopes`` of the view: a list, a dictionary of lists by action
    or method, or None.
    """
    if isinstance(required, Mapping):
        keys = (action, method, "GET" if method == "HEAD" else method)
        required = next((required[key] for key in keys if key in required), None)
    if required is None:
        return ["read"] if method in SAFE_METHODS else ["write"]
    return required  # type: ignore[no-any-return]  # whatever the view says


def missing_scopes(scopes: str | None, needed: Iterable[str]) -> list[str]:
    """Return those of the ``needed`` scopes that a token with ``scopes`` lacks.

    None is full access. A name that ``SCOPES`` no longer has grants nothing.
    """
    if scopes is None:
        return []
    granted = {name for name in scopes.split() if name in conf.SCOPES}
    if "write" in granted:
        granted.add("read")
    return [name for name in needed if name not in granted]


def lack_of(scopes: Sequence[str]) -> str:
    """Return the sentence that refuses a token that lacks ``scopes``."""
    sentence = ngettext(
        "This access token lacks the scope %(scopes)s.",
        "This access token lacks the scopes %(scopes)s.",
        len(scopes),
    )
    return sentence % {"scopes": ", ".join(scopes)}


def log_missing(token: Token, scopes: Iterable[str]) -> None:
    names = " ".join(scopes)
    logger.info("Token %s of user %s lacks the scope %s.", token.pk, token.user_id, names)


def join_scopes(names: Collection[str]) -> str:
    """Return ``names`` as they are stored, in the order of ``SCOPES``.

    Raise ``ValidationError`` for no name and for one that ``SCOPES`` lacks.
    """
    errors = [
        ValidationError(
            _("There is no scope “%(name)s”."), code="unknown_scope", params={"name": name}
        )
        for name in names
        if name not in conf.SCOPES
    ]
    if not names:
        errors = [ValidationError(_("Choose at least one scope."), code="required")]
    if errors:
        raise ValidationError({"scopes": errors})
    return " ".join(name for name in conf.SCOPES if name in names)


def api_views(
    patterns: Iterable[URLPattern | URLResolver] | None = None, prefix: str = "/"
) -> Iterator[tuple[str, Any]]:
    """Yield the path and the view of each endpoint of Django REST framework in the URLconf."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from api_views(pattern.url_patterns, path)
        elif hasattr(pattern.callback, "cls"):
            yield path, pattern.callback


def required_scopes_of(view: Any) -> Any:
    """Return the ``required_scopes`` of a view in the URLconf, those of an ``@action`` included."""
    return attribute_of(view, "required_scopes")


def accepts_tokens(view: Any) -> bool:
    """Return whether a view in the URLconf authenticates by access tokens, and doesn't refuse them."""
    if attribute_of(view, "is_for_token") is False:  # as most of access_tokens.api
        return False
    return any(map(own_class, attribute_of(view, "authentication_classes") or ()))


def attribute_of(view: Any, name: str) -> Any:
    return getattr(view, "initkwargs", {}).get(name, getattr(view.cls, name, None))


def methods_of(view: Any) -> dict[str, str | None]:
    """Return the methods of a view in the URLconf, each with the action that answers it."""
    actions = getattr(view, "actions", None)
    if actions is None:
        names = [name for name in view.cls.http_method_names if hasattr(view.cls, name)]
        actions = dict.fromkeys(names)
    return {method.upper(): action for method, action in actions.items()}
