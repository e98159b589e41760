"""The forms: of the page and the admin for a new token, of the admin for another name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, router, transaction
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from .conf import conf
from .crypto import Secret
from .limits import end_of_day
from .models import Token

NAME_TAKEN = _("This user already has a token named “%(name)s”. Choose another name.")


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs alone
    """Create a token, on the page and in the admin, and keep its ``secret``."""

    secret: Secret

    expires_at = forms.TypedChoiceField(
        label=_("Expiration"),
        help_text=_("The token stops working at the end of this day. Shorter is safer."),
        coerce=lambda days: end_of_day(int(days)),
        empty_value=None,
    )

    class Meta:
        model = Token
        fields = ("name", "expires_at")
        help_texts = {"name": _("What will use this token? For example, “CI pipeline”.")}
        error_messages = {
            "name": {"required": _("Enter a name.")},
            # Checked where the form has a field for the user, who may be another.
            NON_FIELD_ERRORS: {"unique": NAME_TAKEN},
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].widget.attrs |= {"autofocus": True, "autocomplete": "off"}
        if conf.EXPIRY_DAYS:
            field: Any = self.fields["expires_at"]
            field.required = None not in conf.EXPIRY_DAYS
            field.choices = [expiry_choice(days) for days in conf.EXPIRY_DAYS]
            # A new token has none, which is not what to offer first.
            if self.initial.get("expires_at") is None:
                self.initial["expires_at"] = conf.EXPIRY_DEFAULT_DAYS
        else:
            del self.fields["expires_at"]

    def clean_expires_at(self) -> datetime | None:
        days, widget = conf.EXPIRY_DEFAULT_DAYS, self.fields["expires_at"].widget
        name = self.add_prefix("expires_at")
        if days is not None and widget.value_omitted_from_data(self.data, self.files, name):
            # A template of the site may lack the field, which is no wish for a token without end.
            return end_of_day(days)
        return self.cleaned_data["expires_at"]  # type: ignore[no-any-return]  # as any cleaned data

    def save(self, commit: bool = True) -> Token:
        """Create the token; without ``commit``, only return what it will be."""
        token: Token = super().save(commit=False)
        if commit:
            token, self.secret = Token.objects.create_token(
                user=token.user, name=token.name, expires_at=token.expires_at
            )
            self.instance = token
            self.save_m2m()
        return token


class TokenRenameForm(forms.ModelForm):  # type: ignore[type-arg]  # as above
    """Change the name alone: saving the row would undo a use, or bring back a deleted token."""

    class Meta:
        model = Token
        fields = ("name",)

    def clean_name(self) -> str:
        # The owner is not in the form, so Django does not check the constraint.
        name: str = self.cleaned_data["name"]
        tokens = Token.objects.filter(user=self.instance.user_id, name=name)
        if tokens.exclude(pk=self.instance.pk).exists():
            raise ValidationError(NAME_TAKEN, code="unique", params={"name": name})
        return name

    def save(self, commit: bool = True) -> Token:
        token: Token = super().save(commit=False)
        if commit:
            using = router.db_for_write(Token, instance=token)
            try:
                # The savepoint keeps a transaction of the caller usable.
                with transaction.atomic(using=using):
                    rows = Token.objects.using(using).filter(pk=token.pk).update(name=token.name)
            except IntegrityError:
                self.clean_name()
                raise
            if not rows:
                raise ValidationError("The token was deleted.")
        return token


def expiry_choice(days: int | None) -> tuple[int | str, str]:
    """Return a choice that says its date, so that nobody, and no script, has to work it out."""
    if days is None:
        return "", gettext("No expiration")
    if days == 365:
        length = gettext("1 year")
    else:
        length = ngettext("%(days)d day", "%(days)d days", days) % {"days": days}
    date = date_format(end_of_day(days))
    return days, gettext("%(length)s (%(date)s)") % {"length": length, "date": date}
