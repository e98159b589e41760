"""The forms of the page and the admin, which create, rotate and change a token."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, ngettext_lazy

from ..conf import conf
from ..crypto import Secret
from ..limits import end_of_day, limit_reached, offered_days, within_limit
from ..models import Token
from .fields import ExpiryField, ScopesField

NAME_TAKEN = _("This user already has a token named “%(name)s”. Choose another name.")
LIMIT_REACHED = ngettext_lazy(
    "This user has reached the limit of %(limit)d token.",
    "This user has reached the limit of %(limit)d tokens.",
    "limit",
)


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs alone
    """Create a token, on the page and in the admin, and keep its ``secret``."""

    secret: Secret

    expires_at = ExpiryField(
        label=_("Expiration"),
        help_text=_("The token stops working at the end of this day. Shorter is safer."),
    )
    scopes = ScopesField(
        label=_("Scopes"),
        help_text=_("What the token may do. Choose only what it needs."),
        initial=["read"],
    )

    class Meta:
        model = Token
        fields = ("name", "expires_at", "scopes")
        help_texts = {"name": _("What will use this token? For example, “CI pipeline”.")}
        error_messages = {
            "name": {"required": _("Enter a name.")},
            # Checked where the form has a field for the user, who may be another.
            NON_FIELD_ERRORS: {"unique": NAME_TAKEN},
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].widget.attrs |= {"autofocus": True, "autocomplete": "off"}
        if offered := offered_days():
            field: Any = self.fields["expires_at"]
            limit = conf.MAX_EXPIRY_DAYS
            # With a limit, the model says what is wrong with no expiration.
            field.required = (
                None not in offered and limit is None and not self.lacks_field("expires_at")
            )
            if limit is not None:
                field.help_text = ngettext(
                    "The token stops working at the end of this day, at most %(days)d day from "
                    "now. Shorter is safer.",
                    "The token stops working at the end of this day, at most %(days)d days from "
                    "now. Shorter is safer.",
                    limit,
                ) % {"days": limit}
            # Preselect the default rather than "No expiration".
            if self.initial.get("expires_at") is None:
                self.initial["expires_at"] = within_limit(conf.EXPIRY_DEFAULT_DAYS)
        else:
            del self.fields["expires_at"]
        if not conf.SCOPES:
            del self.fields["scopes"]
        elif self.initial.get("scopes") is None:
            self.initial["scopes"] = self.fields["scopes"].initial

    def clean_expires_at(self) -> datetime | None:
        days = within_limit(conf.EXPIRY_DEFAULT_DAYS)
        if days is not None and self.lacks_field("expires_at"):
            return end_of_day(days)
        return self.cleaned_data["expires_at"]  # type: ignore[no-any-return]  # as any cleaned data

    def lacks_field(self, name: str) -> bool:
        """Return whether a template of the site left the field out."""
        widget, prefixed = self.fields[name].widget, self.add_prefix(name)
        return self.is_bound and widget.value_omitted_from_data(self.data, self.files, prefixed)

    def clean(self) -> dict[str, Any] | None:
        cleaned_data = super().clean()
        user = self.cleaned_data.get("user") or getattr(self.instance, "user", None)
        error = user and limit_reached(Token.objects.filter(user=user))
        if error and "user" in self.fields:
            error = ValidationError(LIMIT_REACHED, code=error.code, params=error.params)
        if error:
            raise error
        return cleaned_data

    def save(self, commit: bool = True) -> Token:
        """Create the token, or without ``commit``, only return it unsaved and without a secret."""
        token: Token = super().save(commit=False)
        if commit:
            token, self.secret = Token.objects.create_token(
                user=token.user,
                name=token.name,
                expires_at=token.expires_at,
                scopes=None if token.scopes is None else token.scopes.split(),
            )
            self.instance = token
            self.save_m2m()
        return token


def prefill(query: QueryDict) -> dict[str, Any]:
    """Return the initial values that a link to the form asks for, of those that are possible."""
    initial: dict[str, Any] = {}
    with suppress(ValidationError):
        initial["name"] = Token._meta.get_field("name").clean(query.get("name", ""), None)
    offered = {str(days): days for days in offered_days()}
    if days := offered.get(query.get("days", "")):
        initial["expires_at"] = days
    asked = query.get("scopes", "").replace(",", " ").split()
    if scopes := [name for name in conf.SCOPES if name in asked]:
        initial["scopes"] = scopes
    return initial


class TokenRotateForm(forms.ModelForm):  # type: ignore[type-arg]  # as above
    """Rotate the token, on the page and in the admin, and keep its new ``secret``."""

    secret: Secret

    end_previous_now = forms.BooleanField(
        label=_("The old token may have leaked: stop it now"),
        label_suffix="",
        required=False,
        widget=forms.CheckboxInput({"class": "at-checkbox"}),
    )

    class Meta:
        model = Token
        fields = ()

    def save(self, commit: bool = True) -> Token:
        token: Token = super().save(commit=False)
        if commit:
            self.secret = Token.objects.rotate(token, **self.cleaned_data)
        return token


class TokenChangeForm(forms.ModelForm):  # type: ignore[type-arg]  # as above
    """Change these columns alone: saving the row would undo a use, or bring back a deleted token."""

    scopes = ScopesField(label=_("Scopes"))

    class Meta:
        model = Token
        fields = ("name", "scopes")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The list of the admin may edit the name alone.
        if not conf.SCOPES or "scopes" not in (self._meta.fields or ()):
            del self.fields["scopes"]
        elif not self.fields["scopes"].prepare_value(self.instance.scopes):
            # Changing only the name leaves full access as it is.
            self.fields["scopes"].required = False
            if self.instance.scopes is None:
                text = _("This token has full access. Choose scopes to limit it.")
                self.fields["scopes"].help_text = text

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
            columns = {"name"} | ({"scopes"} & set(self.changed_data))
            try:
                token.change(**{column: getattr(token, column) for column in columns})
            except Token.DoesNotExist:
                raise ValidationError("The token was deleted.") from None
        return token
