"""What the views of the page have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import RedirectURLMixin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.template.response import TemplateResponse
from django.urls import get_script_prefix
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.generic.base import ContextMixin

from .conf import authentication_classes, conf
from .models import Token
from .querysets import DIGESTS, TokenQuerySet
from .reverse import access_tokens_url


# Both decorators, and the headers, hold even where the site lacks the middleware for them.
@method_decorator([never_cache, csrf_protect], name="dispatch")
class OwnTokensMixin(LoginRequiredMixin, ContextMixin):
    """Limit a view to the user's own tokens, and keep its responses private."""

    request: HttpRequest
    page_title: Any = _("Access Tokens")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # A decorator or a middleware of the site may log in by tokens.
        if isinstance(getattr(request, "access_token", None), Token):
            raise PermissionDenied
        response = super().dispatch(request, *args, **kwargs)
        response.headers.setdefault("X-Frame-Options", "DENY")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", referrer_policy())
        return response

    def get_queryset(self) -> TokenQuerySet:
        return Token.objects.filter(user=self.request.user).defer(*DIGESTS)  # type: ignore[misc]  # logged in

    def get_page_title(self) -> str:
        return str(self.page_title)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        title = kwargs.setdefault("page_title", self.get_page_title())
        defaults = {"at_base_template": conf.BASE_TEMPLATE, "heading": title}
        return super().get_context_data(**defaults | kwargs)


class ReturnMixin(RedirectURLMixin, OwnTokensMixin):
    """Lead back to the list, or to the page of the site that ``next`` names."""

    success_url: Any = None

    def get_default_redirect_url(self) -> str:
        return str(self.success_url or access_tokens_url(self.request, "list"))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**{"return_url": self.get_success_url()} | kwargs)


class RevealMixin(ReturnMixin):
    """Save a form that makes a secret, and show it in the response to the POST and nowhere else."""

    http_method_names: Sequence[str] = ["get", "head", "post", "options"]
    created_page_title: Any = _("Copy your new token")
    created_template_name = "access_tokens/token_created.html"

    def form_valid(self, form: Any) -> HttpResponse:
        usage = usage_of_api(self.request)
        try:
            self.object = form.save()
        except ValidationError as error:
            form.add_error(None, error)
            return self.form_invalid(form)
        title = str(self.created_page_title)
        context = self.get_context_data(form=form, page_title=title, secret=form.secret, **usage)
        # A redirect would need the secret to be stored.
        return TemplateResponse(self.request, self.created_template_name, context)

    def form_invalid(self, form: Any) -> HttpResponse:
        heading = self.get_page_title()
        # As Django's admin does, for people who use a screen reader.
        title = gettext("Error: %(title)s") % {"title": heading}
        context = self.get_context_data(form=form, page_title=title, heading=heading)
        response: HttpResponse = self.render_to_response(context)  # type: ignore[attr-defined]  # of the view
        return response


def referrer_policy() -> str:
    """Return the stricter of the site's policy and ``same-origin``."""
    policies = settings.SECURE_REFERRER_POLICY or ""
    # Of several, a browser takes the last one that it knows.
    *_others, last = policies.split(",") if isinstance(policies, str) else policies
    return "no-referrer" if last.strip() == "no-referrer" else "same-origin"


def usage_of_api(request: HttpRequest) -> dict[str, str]:
    """Return what the ``curl`` line under a new token says."""
    url = conf.API_URL
    if isinstance(url, str) and re.match(r"/(?!/)", url):
        url = get_script_prefix() + url[1:]
    keywords = (cls.keyword for cls in authentication_classes() if cls)
    return {
        "api_url": request.build_absolute_uri(resolve_url(url)),
        "keyword": next(keywords, "Bearer"),
    }
