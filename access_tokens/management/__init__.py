from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from django.db import DataError

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def get_user(username: str) -> User:
    """Return the user who logs in with ``username``, or raise ``CommandError``."""
    User = get_user_model()
    try:
        return User._default_manager.get_by_natural_key(username)
    # PostgreSQL takes neither NUL nor surrogates.
    except (User.DoesNotExist, ValueError, DataError):
        raise CommandError(f"There is no user {username!r}.") from None
