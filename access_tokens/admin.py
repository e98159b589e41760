"""The admin: staff see and revoke everybody's tokens, and make their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import ForeignKey, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from .models import UNUSED_AFTER_DAYS, Token, TokenQuerySet, name_taken_error
from .views import usage_of_api

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Token]
else:
    ModelAdmin = object


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"
    states = {
        "never_used": (_("Never used"), TokenQuerySet.never_used),
        "unused": (
            ngettext_lazy("Unused for %(days)d day", "Unused for %(days)d days", UNUSED_AFTER_DAYS),
            TokenQuerySet.unused,
        ),
        "expired": (_("Expired"), TokenQuerySet.expired),
        "no_expiry": (_("No expiration"), TokenQuerySet.without_expiry),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        days = {"days": UNUSED_AFTER_DAYS}
        return [(value, label % days) for value, (label, _state) in self.states.items()]

    def queryset(self, request: HttpRequest, queryset: TokenQuerySet) -> TokenQuerySet:  # type: ignore[override]  # what the manager makes
        value = self.value()
        return self.states[value][1](queryset) if value in self.states else queryset


class TokenAdminForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs alone
    def clean_name(self) -> str:
        # On a change the owner is no field of the form, so the constraint is not checked.
        name: str = self.cleaned_data["name"]
        tokens = Token.objects.filter(user=self.instance.user_id, name=name)
        if tokens.exclude(pk=self.instance.pk).exists():
            raise name_taken_error(name)
        return name


class TokenAdminMixin(ModelAdmin):
    """What ``TokenAdmin`` adds to a ``ModelAdmin``, Django's own or that of an admin theme."""

    form = TokenAdminForm
    details = ("name", "user", "token", "created_at", "last_used_at", "expires_at")
    list_display = details
    list_filter = (StateFilter,)
    list_select_related = ()
    search_fields = ("name", "partial", f"user__{get_user_model().USERNAME_FIELD}")
    show_full_result_count = False
    raw_id_fields = ("user",)
    fields = ("name", "user", "expires_at")
    empty_value_display = _("Never")
    created_template = "admin/access_tokens/token/created.html"

    @admin.display(description=_("token"), ordering="partial")
    def token(self, obj: Token) -> str:
        return format_html('<code class="nowrap" dir="ltr">{}</code>', obj.partial)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Token]:
        # Not a join: MariaDB may start it at the users, and then reads and sorts every token.
        return super().get_queryset(request).defer("digest").prefetch_related("user")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # Django allows a look-up of any local field: with it, a digest could be guessed.
        return not lookup.startswith("digest") and super().lookup_allowed(lookup, value, request)

    def get_fields(self, request: HttpRequest, obj: Token | None = None) -> Any:
        return self.fields if obj is None else self.details

    def get_readonly_fields(self, request: HttpRequest, obj: Token | None = None) -> Any:
        return () if obj is None else self.details[1:]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"user": request.user.pk} | super().get_changeform_initial_data(request)

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "user" and not getattr(request.user, "is_superuser", False):
            # A token acts as its owner, so nobody else may have it.
            users = get_user_model()._default_manager.filter(pk=request.user.pk)  # type: ignore[misc]  # logged in
            kwargs |= {"queryset": users, "widget": forms.Select, "empty_label": None}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        # On an add either button would lead past the page that reveals the secret.
        show = object_id is not None
        context = {"show_save_and_add_another": show, "show_save_and_continue": show}
        try:
            return super().changeform_view(
                request, object_id, form_url, context | (extra_context or {})
            )
        except (IntegrityError, ValidationError):
            text = _("Nothing was saved, because something changed at the same moment. Try again.")
            self.message_user(request, text, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: Token, form: Any, change: bool) -> None:
        if not change:
            token, secret = Token.objects.create_token(
                user=obj.user, name=obj.name, expires_at=obj.expires_at
            )
            # The history wants the key of the very object that it was given.
            vars(obj).update(vars(token))
            request.access_token_secret = secret  # type: ignore[attr-defined]  # for response_add
        # Not save(): it would write the whole row, and bring back one that was deleted.
        elif not Token.objects.filter(pk=obj.pk).update(name=obj.name):
            raise ValidationError("The token was deleted.")

    def response_add(
        self, request: HttpRequest, obj: Token, post_url_continue: str | None = None
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "has_view_permission": self.has_view_permission(request),
            "title": _("Copy your new token"),
            "token": obj,
            "secret": request.access_token_secret,  # type: ignore[attr-defined]  # of save_model
            **usage_of_api(request),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, self.created_template, context)


@admin.register(Token)
class TokenAdmin(TokenAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # as above
    pass
