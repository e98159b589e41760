"""The settings: one dictionary, ``ACCESS_TOKENS``, read each time a value is used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.conf import settings

DEFAULTS: Final[Mapping[str, Any]] = {
    "PREFIX": "pat",
    "LAST_USED_RESOLUTION": timedelta(seconds=1),
    "LAST_USED_SYNCHRONOUS_COMMIT": False,
    "BASE_TEMPLATE": "access_tokens/base.html",
    "API_URL": "/",
    "EXPIRY_DAYS": (7, 30, 60, 90, 365, None),
    "EXPIRY_DEFAULT_DAYS": 90,
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

    def __getattr__(self, name: str) -> Any:
        try:
            return user_settings().get(name, DEFAULTS[name])
        except KeyError:
            raise AttributeError(f"There is no setting ACCESS_TOKENS[{name!r}].") from None


conf = Settings()
