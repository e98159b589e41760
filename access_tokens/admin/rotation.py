from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import router, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from ..conf import conf
from ..forms import TokenRotateForm
from ..mixins import usage_of_api
from ..models import Token

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Token]
else:
    ModelAdmin = object


class RotationAdminMixin(ModelAdmin):
    """Rotate a token, on a page of its own, and reveal the new secret."""

    created_template = "admin/access_tokens/token/created.html"
    rotate_form = TokenRotateForm
    rotate_template = "admin/access_tokens/token/rotate.html"

    def get_urls(self) -> list[Any]:
        views = {"rotate": self.rotate_view, "end_previous": self.end_previous_view}
        urls = [
            path(
                f"<path:object_id>/{name.replace('_', '-')}/",
                self.admin_site.admin_view(view),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",
            )
            for name, view in views.items()
        ]
        return [*urls, *super().get_urls()]

    def has_rotate_permission(self, request: HttpRequest, obj: Token) -> bool:
        """Return whether the user may get a new secret, with which they can act as the owner."""
        is_own = obj.user_id == request.user.pk or getattr(request.user, "is_superuser", False)
        is_possible = conf.ROTATION_OVERLAP is not None and not obj.is_expired
        return is_own and is_possible and self.has_change_permission(request, obj)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        token = context["original"]
        context["may_rotate"] = token is not None and self.has_rotate_permission(request, token)
        return super().render_change_form(request, context, *args, **kwargs)

    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        token = self.get_token(request, object_id)
        if not self.has_rotate_permission(request, token):
            raise PermissionDenied
        form = self.rotate_form(request.POST if request.method == "POST" else None, instance=token)
        if form.is_valid():
            try:
                with transaction.atomic(using=router.db_for_write(Token, instance=token)):
                    form.save()
                    self.log_change(request, token, gettext("Rotated."))
            except ValidationError as error:
                form.add_error(None, error)
            else:
                return self.reveal(request, token, form.secret)
        title = gettext("Rotate “%(name)s”?") % {"name": token.name}
        url = self.change_url(token)
        return self.render(request, self.rotate_template, title, token, form=form, return_url=url)

    @method_decorator(require_POST)
    def end_previous_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        token = self.get_token(request, object_id)
        if not self.has_change_permission(request, token):
            raise PermissionDenied
        Token.objects.end_previous(token)
        text = gettext("The old token of “%(name)s” no longer works.") % {"name": token.name}
        self.log_change(request, token, text)
        self.message_user(request, text)
        return HttpResponseRedirect(self.change_url(token))

    def get_token(self, request: HttpRequest, object_id: str) -> Token:
        token = self.get_object(request, unquote(object_id))
        if token is None:
            raise Http404
        return token

    def change_url(self, token: Token) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=[quote(token.pk)], current_app=self.admin_site.name)

    def reveal(self, request: HttpRequest, token: Token, secret: str) -> HttpResponse:
        context = {"secret": secret, **usage_of_api(request)}
        title = str(_("Copy your new token"))
        return self.render(request, self.created_template, title, token, **context)

    def render(
        self, request: HttpRequest, template: str, title: str, token: Token, **context: Any
    ) -> HttpResponse:
        context |= {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "has_view_permission": self.has_view_permission(request),
            "title": title,
            "token": token,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, template, context)
