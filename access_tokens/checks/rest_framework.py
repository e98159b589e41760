"""The checks of the settings and the views of Django REST framework."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning

from ..conf import (
    AUTHENTICATION_CLASS,
    authentication_classes,
    conf,
    default_authentication,
    own_class,
)
from ..scopes import accepts_tokens, api_views, attribute_of, required_scopes_of
from .links import documented
from .settings import check_settings

# Per format: the class of the other package that accepts its secrets.
LEGACY_CLASSES = {
    "authtoken": "rest_framework.authentication.TokenAuthentication",
    "knox": "knox.auth.TokenAuthentication",
}


@documented
def check_default_authentication(**kwargs: Any) -> list[CheckMessage]:
    """Check that DRF uses our authentication class, and uses it first."""
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
                hint="Put it first. Otherwise a session takes precedence over the token of a request, "
                "and a refused request gets the challenge of another class, or 403 instead of 401.",
                id="access_tokens.W002",
            )
        ]
    return []


@documented
def check_legacy_formats(**kwargs: Any) -> list[CheckMessage]:
    """Check that DRF uses no class of another package whose secrets ours takes."""
    if check_settings():
        return []
    return [
        Warning(
            f"REST_FRAMEWORK['DEFAULT_AUTHENTICATION_CLASSES'] has {path!r}, but "
            f"ACCESS_TOKENS['LEGACY_FORMATS'] has {name!r}.",
            hint="Import its tokens, then remove it. Its secrets don't reach it, so those that "
            "were not imported are refused.",
            id="access_tokens.W008",
        )
        for name, path in LEGACY_CLASSES.items()
        if name in conf.LEGACY_FORMATS and path in default_authentication()
    ]


@documented
def check_api(**kwargs: Any) -> list[CheckMessage]:
    """Check that each endpoint of ``access_tokens.api`` has an authentication class that it takes."""
    classes: dict[str, bool] = {}
    for view in endpoints():
        is_for_token = attribute_of(view, "is_for_token")
        if is_for_token is not None:
            authenticators = attribute_of(view, "authentication_classes") or ()
            is_usable = any((own_class(cls) is not None) == is_for_token for cls in authenticators)
            name = f"{view.cls.__module__}.{view.cls.__qualname__}"
            classes[name] = classes.get(name, True) and is_usable
    return [
        Warning(
            f"Nobody can use some endpoints of {name}.",
            hint="Its authentication classes must include AccessTokenAuthentication, for self/, and "
            "another one, such as SessionAuthentication, for the others.",
            id="access_tokens.W006",
        )
        for name, is_usable in classes.items()
        if not is_usable
    ]


@documented
def check_required_scopes(**kwargs: Any) -> list[CheckMessage]:
    """Check what the views that accept access tokens say in ``required_scopes``."""
    if check_settings() or not conf.SCOPES:
        return []
    # A view may have several paths.
    views = {(view.cls, repr(required_scopes_of(view))): view for view in endpoints()}
    accepting = filter(accepts_tokens, views.values())
    return [error for view in accepting for error in wrong_scopes(view)]


def endpoints() -> list[Any]:
    """Return the views of Django REST framework in the URLconf, with repetitions."""
    try:
        return [view for _path, view in api_views()]
    except Exception:
        return []  # Django itself says what is wrong with the URLconf.


def wrong_scopes(view: Any) -> Iterator[CheckMessage]:
    required = required_scopes_of(view)
    if required is None:
        return
    subject = f"{view.cls.__module__}.{view.cls.__qualname__}.required_scopes"
    lists = required if isinstance(required, Mapping) else {"GET": required}
    for key, names in lists.items():
        if not is_key(key, view.cls) or not is_list(names):
            yield Error(
                f"{subject} is {required!r}.",
                hint="It must be a list of scopes, or a dictionary of such lists whose keys are "
                "actions of the view or methods, such as 'GET'.",
                id="access_tokens.E018",
            )
            return
    for name in dict.fromkeys(name for names in lists.values() for name in names):
        if name not in conf.SCOPES:
            yield Error(
                f"{subject} names {name!r}, which is not in ACCESS_TOKENS['SCOPES'].",
                hint=f"The scopes are {', '.join(conf.SCOPES)}.",
                id="access_tokens.E019",
            )


def is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def is_key(key: Any, cls: Any) -> bool:
    """Return whether ``key`` is a method or an action of a view, and not a method in lower case."""
    methods = [method.upper() for method in cls.http_method_names]
    return key in [*methods, "metadata"] or (
        isinstance(key, str) and key.upper() not in methods and hasattr(cls, key)
    )
