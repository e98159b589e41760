"""The states of tokens, as queries."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.db import models, router, transaction
from django.db.models import Case, Q, Value, When
from django.db.models.lookups import In
from django.utils import timezone

from .conf import conf

if TYPE_CHECKING:
    from .models import Token

    QuerySet = models.QuerySet[Token]
else:
    QuerySet = models.QuerySet

# No caller needs the digests, so queries leave them out.
DIGESTS: Final = ("digest", "previous_digest")
UNUSED_AFTER_DAYS: Final = 90
CHUNK_SIZE: Final = 500


def is_unused(now: datetime, days: int = UNUSED_AFTER_DAYS) -> Q:
    limit = now - timedelta(days=days)
    return Q(last_used_at__lte=limit) | Q(last_used_at=None, created_at__lte=limit)


class State(enum.StrEnum):
    """The state of a token. An unused one works too."""

    ACTIVE = "active"
    UNUSED = "unused"
    EXPIRED = "expired"


class TokenQuerySet(QuerySet):
    def in_states(self, states: Iterable[str]) -> TokenQuerySet:
        """Return the tokens whose ``state`` is one of ``states``."""
        now = timezone.now()
        cases = [When(expires_at__lte=now, then=Value(State.EXPIRED))]
        if conf.LAST_USED_RESOLUTION is not None:
            cases.append(When(is_unused(now), then=Value(State.UNUSED)))
        state = Case(*cases, default=Value(State.ACTIVE), output_field=models.CharField())
        return self.filter(In(state, list(states)))

    def never_used(self) -> TokenQuerySet:
        return self.filter(last_used_at=None)

    def unused(self, days: int = UNUSED_AFTER_DAYS) -> TokenQuerySet:
        """Return the tokens whose last use, or else creation, is at least ``days`` days ago."""
        return self.filter(is_unused(timezone.now(), days))

    def expired(self, days: int = 0) -> TokenQuerySet:
        """Return the tokens that expired at least ``days`` days ago."""
        return self.filter(expires_at__lte=timezone.now() - timedelta(days=days))

    def without_expiry(self) -> TokenQuerySet:
        return self.filter(expires_at=None)

    def without_scopes(self) -> TokenQuerySet:
        """Return the tokens with full access."""
        return self.filter(scopes=None)

    def prune(self) -> int:
        """Delete these tokens in chunks and return how many there were.

        A token stays if it is no longer one of these when its turn comes, for example after a use.
        """
        tokens = self.using(self._db or router.db_for_write(self.model))  # type: ignore[attr-defined]  # not in the stubs
        pks = tokens.order_by("pk").values_list("pk", flat=True)
        deleted = 0
        chunk = list(pks[:CHUNK_SIZE])
        while chunk:
            with transaction.atomic(using=tokens.db):
                # delete() looks at no condition but the primary key.
                locked = list(pks.select_for_update().filter(pk__in=chunk))
                self.model._base_manager.using(tokens.db).filter(pk__in=locked).delete()
            deleted += len(locked)
            chunk = list(pks.filter(pk__gt=chunk[-1])[:CHUNK_SIZE])
        return deleted

    prune.alters_data = True  # type: ignore[attr-defined]  # for templates, as in Django
