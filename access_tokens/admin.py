"""The admin: staff see and revoke everybody's tokens, and make their own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import display_for_value
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import ForeignKey, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from .conf import conf
from .forms import TokenForm, TokenRenameForm
from .managers import DIGESTS
from .models import Token
from .querysets import UNUSED_AFTER_DAYS, TokenQuerySet
from .views import usage_of_api

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Token]
else:
    ModelAdmin = object


logger = logging.getLogger("access_tokens")


class Conflict(Exception):
    """What the form has checked was changed by another request."""


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"
    by_use = {
        "never_used": (_("Never used"), TokenQuerySet.never_used),
        "unused": (
            ngettext_lazy("Unused for %(days)d day", "Unused for %(days)d days", UNUSED_AFTER_DAYS),
            TokenQuerySet.unused,
        ),
    }
    by_expiry = {
        "expired": (_("Expired"), TokenQuerySet.expired),
        "no_expiry": (_("No expiration"), TokenQuerySet.without_expiry),
    }

    @property
    def states(self) -> dict[str, tuple[Any, Any]]:
        return self.by_expiry if conf.LAST_USED_RESOLUTION is None else self.by_use | self.by_expiry

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        days = {"days": UNUSED_AFTER_DAYS}
        return [(value, label % days) for value, (label, _state) in self.states.items()]

    def queryset(self, request: HttpRequest, queryset: TokenQuerySet) -> TokenQuerySet:  # type: ignore[override]  # what the manager makes
        value = self.value()
        return self.states[value][1](queryset) if value in self.states else queryset


class TokenAdminMixin(ModelAdmin):
    """What ``TokenAdmin`` adds to a ``ModelAdmin``, Django's own or that of an admin theme."""

    form = TokenRenameForm
    add_form = TokenForm
    details = ("name", "user", "token", "created_at", "last_used", "expires_at")
    list_display = details
    list_filter = (StateFilter,)
    list_select_related = ()
    search_fields = ("name", "partial", f"user__{get_user_model().USERNAME_FIELD}")
    show_full_result_count = False
    raw_id_fields = ("user",)
    empty_value_display = _("Never")
    created_template = "admin/access_tokens/token/created.html"

    @admin.display(description=_("token"), ordering="partial")
    def token(self, obj: Token) -> str:
        return format_html('<code class="nowrap" dir="ltr">{}</code>', obj.partial)

    @admin.display(description=_("last used"), ordering="last_used_at")
    def last_used(self, obj: Token) -> str:
        if conf.LAST_USED_RESOLUTION is None:
            return gettext("Not recorded")
        moment = display_for_value(obj.last_used_at, str(self.get_empty_value_display()))
        return format_html('<span class="nowrap">{}</span>', moment)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Token]:
        # Not a join: MariaDB may start it at the users, and then reads and sorts every token.
        return super().get_queryset(request).defer(*DIGESTS).prefetch_related("user")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # Django allows a look-up of any local field: with it, a digest could be guessed.
        return not lookup.startswith(DIGESTS) and super().lookup_allowed(lookup, value, request)

    def get_fields(self, request: HttpRequest, obj: Token | None = None) -> Any:
        return (*self.add_form().fields, "user") if obj is None else self.details

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
        # On an add either button would lead past the page that reveals the secret.
        show = object_id is not None
        context = {"show_save_and_add_another": show, "show_save_and_continue": show}
        try:
            return super().changeform_view(
                request, object_id, form_url, context | (extra_context or {})
            )
        except Conflict as conflict:
            logger.warning("The admin saved nothing. %s", conflict)
            text = _("Nothing was saved, because something changed at the same moment. Try again.")
            self.message_user(request, text, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: Token, form: Any, change: bool) -> None:
        try:
            token = form.save()
        except ValidationError as error:
            raise Conflict(f"Token {obj.pk} of user {obj.user_id} was refused.") from error
        if not change:
            # The inlines and the history go on with the object that they were given.
            obj.pk = token.pk
            obj.refresh_from_db(using=token._state.db)
            request.access_token_secret = form.secret  # type: ignore[attr-defined]  # for response_add

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
