"""The settings: one dictionary, ``ACCESS_TOKENS``, read each time a value is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

AUTHENTICATION_CLASS: Final = "access_tokens.authentication.AccessTokenAuthentication"
DEFAULTS: Final[Mapping[str, Any]] = {
    "PREFIX": "pat",
    "LAST_USED_RESOLUTION": timedelta(seconds=1),
    "LAST_USED_SYNCHRONOUS_COMMIT": False,
    "BASE_TEMPLATE": "access_tokens/base.html",
    "API_URL": "/",
    "EXPIRY_DAYS": (7, 30, 60, 90, 365, None),
    "EXPIRY_DEFAULT_DAYS": 90,
    "MAX_EXPIRY_DAYS": None,
    "MAX_TOKENS_PER_USER": None,
    "MAY_CREATE": None,
    "ROTATION_OVERLAP": timedelta(hours=24),
    "SELF_ROTATION": False,
    "SCOPES": {},
    "EMAIL_ON_CREATION": False,
    "LEGACY_FORMATS": (),
    "REJECTION_RATE": None,
}


def user_settings() -> Any:
    """Return ``ACCESS_TOKENS`` as the site wrote it, right or wrong."""
    return getattr(settings, "ACCESS_TOKENS", {})


class Settings:
    """``ACCESS_TOKENS`` over its defaults, as attributes."""

    PREFIX: str
    LAST_USED_RESOLUTION: timedelta | None
    LAST_USED_SYNCHRONOUS_COMMIT: bool
    BASE_TEMPLATE: str
    API_URL: Any
    EXPIRY_DAYS: list[int | None] | tuple[int | None, ...]
    EXPIRY_DEFAULT_DAYS: int | None
    MAX_EXPIRY_DAYS: int | None
    MAX_TOKENS_PER_USER: int | None
    MAY_CREATE: str | Callable[[Any], object] | None
    ROTATION_OVERLAP: timedelta | None
    SELF_ROTATION: bool
    SCOPES: Mapping[str, _StrOrPromise]
    EMAIL_ON_CREATION: bool
    LEGACY_FORMATS: list[str] | tuple[str, ...]
    REJECTION_RATE: str | None

    def __getattr__(self, name: str) -> Any:
        try:
            return user_settings().get(name, DEFAULTS[name])
        except KeyError:
            raise AttributeError(f"There is no setting ACCESS_TOKENS[{name!r}].") from None


conf = Settings()


def default_authentication() -> Sequence[Any]:
    """Return the default classes of Django REST framework, or their paths, as the site wrote them."""
    framework = getattr(settings, "REST_FRAMEWORK", {})
    return framework.get("DEFAULT_AUTHENTICATION_CLASSES") or ()


def authentication_classes() -> list[Any]:
    """Return Django REST framework's default classes, with None for each that isn't of this app."""
    return [own_class(entry) for entry in default_authentication()]


def own_class(entry: Any) -> Any:
    """Return an entry, a class or its path, as a class if it is ours or a subclass."""
    try:
        cls = import_string(entry) if isinstance(entry, str) else entry
    except (ImportError, ValueError):
        return None  # DRF itself says so.
    bases = getattr(cls, "__mro__", ())
    # By name: importing our class would import DRF.
    is_own = any(f"{c.__module__}.{c.__qualname__}" == AUTHENTICATION_CLASS for c in bases)
    return cls if is_own else None
