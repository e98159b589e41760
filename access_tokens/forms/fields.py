"""The form fields for what a site offers: expirations and scopes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..limits import end_of_day, offered_days
from ..scopes import join_scopes


class ExpiryField(forms.TypedChoiceField):
    """A choice of days. The value is the end of the last one, or None."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            **kwargs,
            choices=lambda: [expiry_choice(days) for days in offered_days()],
            coerce=lambda days: end_of_day(int(days)),
            empty_value=None,
        )


class ScopesField(forms.MultipleChoiceField):
    """Check boxes for the scopes of the site. The value is what the token stores."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs, choices=lambda: list(conf.SCOPES.items()))
        self.widget.attrs["class"] = "at-checkbox"
        self.error_messages["required"] = _("Choose at least one scope.")

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return [name for name in value.split() if name in conf.SCOPES]
        return value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)

    def clean(self, value: Any) -> str | None:
        names = super().clean(value)
        return join_scopes(names) if names else None


def expiry_choice(days: int | None) -> tuple[int | str, str]:
    """Return a choice that says its date, so that users don't have to work it out."""
    if days is None:
        return "", gettext("No expiration")
    if days == 365:
        length = gettext("1 year")
    else:
        length = ngettext("%(days)d day", "%(days)d days", days) % {"days": days}
    date = date_format(end_of_day(days))
    return days, gettext("%(length)s (%(date)s)") % {"length": length, "date": date}
