"""What views need: ``access_token_required`` in Django, ``required_scopes`` in DRF."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar, overload

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _

from .exceptions import TokenRejected
from .headers import challenge, get_secret, has_secret
from .models import Token
from .scopes import lack_of, log_missing, missing_scopes, needed_scopes

if TYPE_CHECKING:
    from django.contrib.auth.models import User

View = TypeVar("View", bound=Callable[..., Any])
Scopes = Sequence[str] | Mapping[str, Sequence[str]]


def required_scopes(scopes: Scopes) -> Callable[[View], View]:
    """Say which scopes a function view of Django REST framework needs.

    Put it above ``@api_view``, otherwise it raises ``TypeError``. A class has an attribute
    ``required_scopes`` instead.
    """

    def decorate(view: View) -> View:
        cls = getattr(view, "cls", None)
        if cls is None:
            raise TypeError("Put @required_scopes above @api_view.")
        cls.required_scopes = scopes
        return view

    return decorate


@overload
def access_token_required(view: View, *, scopes: Scopes | None = None) -> View: ...


@overload
def access_token_required(*, scopes: Scopes | None = None) -> Callable[[View], View]: ...


def access_token_required(view: Any = None, *, scopes: Scopes | None = None) -> Any:
    """Let a view answer requests with an access token, and no others.

    It sets ``request.user`` to the owner and ``request.access_token`` to the token. ``scopes`` is
    a list, or a dictionary of lists by method. Without it, the view needs "read" for safe methods
    and "write" for the others.

    The view may be asynchronous. For a class, decorate what ``as_view()`` returns, or the method
    ``dispatch`` by ``method_decorator``.
    """
    if isinstance(scopes, Mapping) and not all(map(str.isupper, scopes)):
        # It would be ignored, and the view need less than it says.
        raise ValueError('Write the methods of scopes in upper case, such as "GET".')
    if view is None:
        return partial(access_token_required, scopes=scopes)
    if isinstance(view, type):
        raise TypeError('Use @method_decorator(access_token_required, name="dispatch").')

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = refusal(request, scopes) or view(request, *args, **kwargs)
        patch_vary_headers(response, ["Authorization"])
        return response

    @wraps(view)
    async def async_wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = await sync_to_async(refusal)(request, scopes)
        response = response or await view(request, *args, **kwargs)
        patch_vary_headers(response, ["Authorization"])
        return response

    decorated: Any = async_wrapper if is_async(view) else wrapper
    # No cookie lets a request pass, so another site can't make a browser send one that does.
    decorated.csrf_exempt = True
    # As login_not_required() does. LoginRequiredMiddleware checks before this decorator runs.
    decorated.login_required = False
    return decorated


def is_async(view: Any) -> bool:
    """Return whether a call of ``view`` returns a coroutine."""
    # method_decorator() passes the dispatch() of a View on as a partial of the bound method.
    instance = getattr(getattr(view, "func", None), "__self__", None)
    return iscoroutinefunction(view) or getattr(instance, "view_is_async", False)


def refusal(request: HttpRequest, scopes: Scopes | None) -> HttpResponse | None:
    """Authenticate ``request``, or return the response that refuses it."""
    if not has_secret(request):
        return refuse(401, _("Authentication credentials were not provided."))
    try:
        # No variable holds the secret here: an error report would show it.
        token = Token.objects.authenticate(get_secret(request), request)
    except TokenRejected as rejection:
        if rejection.retry_after is not None:
            detail = _("Too many invalid access tokens. Try again later.")
            headers = {"Retry-After": str(rejection.retry_after)}
            return JsonResponse({"detail": detail}, status=429, headers=headers)
        return refuse(401, _("Invalid access token."), error="invalid_token")
    needed = needed_scopes(scopes, request.method or "")
    missing = missing_scopes(token.scopes, needed)
    if missing:
        log_missing(token, missing)
        detail = lack_of(missing)
        return refuse(403, detail, error="insufficient_scope", scope=" ".join(needed))
    admit(request, token)
    return None


def refuse(status: int, detail: str, **parameters: str) -> HttpResponse:
    headers = {"WWW-Authenticate": challenge(**parameters)}
    return JsonResponse({"detail": detail}, status=status, headers=headers)


def admit(request: Any, token: Token) -> None:
    async def auser() -> User:
        return token.user

    request.user, request.auser, request.access_token = token.user, auser, token
