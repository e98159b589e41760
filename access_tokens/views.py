"""The page: users with a session list, create, rotate and delete their own tokens."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.generic import CreateView, DeleteView, ListView, UpdateView, View
from django.views.generic.detail import SingleObjectMixin

from .conf import conf
from .forms import TokenForm, TokenRotateForm, prefill
from .limits import creation_error, may_create
from .mixins import OwnTokensMixin, ReturnMixin, RevealMixin
from .models import Token
from .querysets import TokenQuerySet
from .reverse import access_tokens_url

JUST_CREATED = timedelta(minutes=1)


class TokenListView(OwnTokensMixin, ListView):  # type: ignore[type-arg]  # generic in the stubs alone
    http_method_names = ["get", "head", "options"]
    paginate_by = 50

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        limit_error = creation_error(self.request.user, self.get_queryset())
        return super().get_context_data(**{"limit_error": limit_error} | kwargs)


class TokenCreateView(RevealMixin, CreateView):  # type: ignore[type-arg]  # as above
    """Ask for a name, then show the secret."""

    model = Token
    form_class = TokenForm
    page_title = _("New access token")

    def get_initial(self) -> dict[str, Any]:
        return super().get_initial() | prefill(self.request.GET)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if may_create(request.user):
            return super().post(request, *args, **kwargs)
        # The page says why.
        response = self.get(request, *args, **kwargs)
        response.status_code = HTTPStatus.FORBIDDEN
        return response

    def get_form_kwargs(self) -> dict[str, Any]:
        token = Token(user=self.request.user)  # type: ignore[misc]  # logged in
        return super().get_form_kwargs() | {"instance": token, "label_suffix": ""}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        limit_error = creation_error(self.request.user, self.get_queryset())
        context = super().get_context_data(**{"limit_error": limit_error} | kwargs)
        name = context["form"].instance.name
        if self.request.method == "POST" and "secret" not in context:
            context["just_created"] = self.get_just_created(name)
        return context

    def get_just_created(self, name: str) -> Token | None:
        """Return the token that the first of two submissions of a form created."""
        since = timezone.now() - JUST_CREATED
        tokens = self.get_queryset().filter(name=name, created_at__gt=since)
        return tokens.never_used().first()


class TokenRotateView(RevealMixin, UpdateView):  # type: ignore[type-arg]  # as above
    """Explain the rotation, then show the new secret."""

    form_class = TokenRotateForm
    template_name = "access_tokens/token_rotate.html"

    def get_queryset(self) -> TokenQuerySet:
        tokens = super().get_queryset()
        return tokens.none() if conf.ROTATION_OVERLAP is None else tokens

    def form_invalid(self, form: Any) -> HttpResponse:
        # Another request may have changed or deleted the token.
        self.object = self.get_object()
        return super().form_invalid(form)

    def get_page_title(self) -> str:
        return gettext("Rotate “%(name)s”?") % {"name": self.object.name}


class TokenEndPreviousView(ReturnMixin, SingleObjectMixin, View):  # type: ignore[type-arg]  # as above
    """Let the secret from before the last rotation stop working now."""

    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        token = self.get_object()
        Token.objects.end_previous(token)
        text = gettext("The old token of “%(name)s” no longer works.") % {"name": token.name}
        messages.success(request, text, fail_silently=True)
        return HttpResponseRedirect(self.get_success_url())


class TokenDeleteView(ReturnMixin, DeleteView):  # type: ignore[type-arg]  # as above
    """Ask for confirmation, delete the token and return to the list."""

    http_method_names = ["get", "head", "post", "options"]

    def get_page_title(self) -> str:
        return gettext("Delete “%(name)s”?") % {"name": self.object.name}

    def get_default_redirect_url(self) -> str:
        """Return the URL. As in Django's view, ``{name}`` stands for that field of the token."""
        url = super().get_default_redirect_url()
        if "object" in vars(self):
            return url.format(**vars(self.object))
        # A token that is gone has no name.
        return url if "{" not in url else access_tokens_url(self.request, "list")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().post(request, *args, **kwargs)
        except Http404:
            # For example in another tab. The response is the same for another user's token.
            messages.info(request, gettext("This token was already deleted."), fail_silently=True)
            return HttpResponseRedirect(self.get_success_url())

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        text = gettext("Token “%(name)s” was deleted. It no longer gives access to the API.")
        messages.success(self.request, text % {"name": self.object.name}, fail_silently=True)
        return response
