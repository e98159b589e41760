from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from ..conf import conf
from ..querysets import UNUSED_AFTER_DAYS, TokenQuerySet

BY_USE = {
    "never_used": (_("Never used"), TokenQuerySet.never_used),
    "unused": (
        ngettext_lazy("Unused for %(days)d day", "Unused for %(days)d days", UNUSED_AFTER_DAYS),
        TokenQuerySet.unused,
    ),
}
BY_EXPIRY = {
    "expired": (_("Expired"), TokenQuerySet.expired),
    "no_expiry": (_("No expiration"), TokenQuerySet.without_expiry),
}
BY_SCOPES = {"full_access": (_("Full access"), TokenQuerySet.without_scopes)}


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    @property
    def states(self) -> dict[str, tuple[Any, Any]]:
        by_use = {} if conf.LAST_USED_RESOLUTION is None else BY_USE
        return by_use | BY_EXPIRY | (BY_SCOPES if conf.SCOPES else {})

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        days = {"days": UNUSED_AFTER_DAYS}
        return [(value, label % days) for value, (label, _state) in self.states.items()]

    def queryset(self, request: HttpRequest, queryset: TokenQuerySet) -> TokenQuerySet:  # type: ignore[override]  # what the manager makes
        value = self.value()
        return self.states[value][1](queryset) if value in self.states else queryset
