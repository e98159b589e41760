"""The admin. Staff see and revoke all tokens, and create their own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import display_for_value
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import ForeignKey, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..forms import TokenChangeForm, TokenForm
from ..models import Token
from ..querysets import DIGESTS
from ..templatetags.access_tokens import token_scopes
from .filters import StateFilter
from .rotation import RotationAdminMixin

logger = logging.getLogger("access_tokens")


class Conflict(Exception):
    """Another request changed what the form had checked."""


class TokenAdminMixin(RotationAdminMixin):
    """What ``TokenAdmin`` adds to a ``ModelAdmin``, Django's own or that of an admin theme."""

    form = TokenChangeForm
    add_form = TokenForm
    details = ("name", "user", "token", "access", "created_at", "last_used", "expires_at")
    list_display = details
    list_filter = (StateFilter,)
    list_select_related = ()
    search_fields = ("name", "partial", f"user__{get_user_model().USERNAME_FIELD}")
    show_full_result_count = False
    raw_id_fields = ("user",)
    empty_value_display = _("Never")

    @admin.display(description=_("token"), ordering="partial")
    def token(self, obj: Token) -> str:
        return format_html('<code class="nowrap" dir="ltr">{}</code>', obj.partial)

    @admin.display(description=_("scopes"))
    def access(self, obj: Token) -> str:
        return token_scopes(obj)

    @admin.display(description=_("last used"), ordering="last_used_at")
    def last_used(self, obj: Token) -> str:
        if conf.LAST_USED_RESOLUTION is None:
            return gettext("Not recorded")
        time = display_for_value(obj.last_used_at, str(self.get_empty_value_display()))
        return format_html('<span class="nowrap">{}</span>', time)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Token]:
        # Not a join: MariaDB may start with the users, and then read and sort every token.
        return super().get_queryset(request).defer(*DIGESTS).prefetch_related("user")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # Django allows a lookup of any local field: with it, a digest could be guessed.
        return not lookup.startswith(DIGESTS) and super().lookup_allowed(lookup, value, request)

    def get_list_display(self, request: HttpRequest) -> Any:
        return [name for name in self.list_display if conf.SCOPES or name != "access"]

    def get_fields(self, request: HttpRequest, obj: Token | None = None) -> Any:
        if obj is None:
            return (*self.add_form().fields, "user")
        if not conf.SCOPES:
            return [name for name in self.details if name != "access"]
        if not self.has_change_permission(request, obj):
            return self.details
        return ["scopes" if name == "access" else name for name in self.details]

    def get_readonly_fields(self, request: HttpRequest, obj: Token | None = None) -> Any:
        return () if obj is None else self.details[1:]

    def get_form(
        self, request: HttpRequest, obj: Token | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None:
            kwargs = {"form": self.add_form} | kwargs
        return super().get_form(request, obj, change, **kwargs)

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
        # When adding, either button would skip the page that reveals the secret.
        show = object_id is not None
        context = {"show_save_and_add_another": show, "show_save_and_continue": show}
        context |= extra_context or {}
        return self.report_conflict(request, super().changeform_view, object_id, form_url, context)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self.report_conflict(request, super().changelist_view, extra_context)

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        # For list_editable: Django's own form would save the whole row.
        return super().get_changelist_form(request, **{"form": self.form} | kwargs)

    def report_conflict(
        self, request: HttpRequest, view: Callable[..., HttpResponse], *args: Any
    ) -> HttpResponse:
        """Call a view. If it saved nothing because of a conflict, say so and show it again."""
        try:
            return view(request, *args)
        except Conflict as conflict:
            logger.warning("The admin saved nothing. %s", conflict)
            text = _("Nothing was saved, because something changed at the same time. Try again.")
            self.message_user(request, text, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: Token, form: Any, change: bool) -> None:
        try:
            token = form.save()
        except ValidationError as error:
            raise Conflict(f"Token {obj.pk} of user {obj.user_id} was refused.") from error
        if not change:
            # The inlines and the history use the object that they were given.
            obj.pk = token.pk
            obj.refresh_from_db(using=token._state.db)
            request.access_token_secret = form.secret  # type: ignore[attr-defined]  # for response_add

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        # form.save() has called save_m2m().
        for formset in formsets:
            self.save_formset(request, form, formset, change=change)

    def response_add(
        self, request: HttpRequest, obj: Token, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self.reveal(request, obj, request.access_token_secret)  # type: ignore[attr-defined]  # of save_model


@admin.register(Token)
class TokenAdmin(TokenAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # as above
    pass
