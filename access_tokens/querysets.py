"""The states of tokens, as queries."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import models
from django.db.models import Q
from django.utils import timezone

if TYPE_CHECKING:
    from .models import Token

    QuerySet = models.QuerySet[Token]
else:
    QuerySet = models.QuerySet

UNUSED_AFTER_DAYS: Final = 90


class TokenQuerySet(QuerySet):
    def never_used(self) -> TokenQuerySet:
        return self.filter(last_used_at=None)

    def unused(self, days: int = UNUSED_AFTER_DAYS) -> TokenQuerySet:
        """Return the tokens whose last use, or else creation, is at least ``days`` days ago."""
        limit = timezone.now() - timedelta(days=days)
        return self.filter(Q(last_used_at__lte=limit) | Q(last_used_at=None, created_at__lte=limit))

    def expired(self) -> TokenQuerySet:
        return self.filter(expires_at__lte=timezone.now())

    def without_expiry(self) -> TokenQuerySet:
        return self.filter(expires_at=None)

    def without_scopes(self) -> TokenQuerySet:
        """Return the tokens with full access."""
        return self.filter(scopes=None)
