"""The settings: one dictionary, ``ACCESS_TOKENS``, read each time a value is used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

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
    "ROTATION_OVERLAP": timedelta(hours=24),
    "SCOPES": {},
    "EMAIL_ON_CREATION": False,
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
    API_URL: str
    EXPIRY_DAYS: list[int | None] | tuple[int | None, ...]
    EXPIRY_DEFAULT_DAYS: int | None
    MAX_EXPIRY_DAYS: int | None
    MAX_TOKENS_PER_USER: int | None
    ROTATION_OVERLAP: timedelta | None
    SCOPES: Mapping[str, _StrOrPromise]
    EMAIL_ON_CREATION: bool

    def __getattr__(self, name: str) -> Any:
        try:
            return user_settings().get(name, DEFAULTS[name])
        except KeyError:
            raise AttributeError(f"There is no setting ACCESS_TOKENS[{name!r}].") from None


conf = Settings()
