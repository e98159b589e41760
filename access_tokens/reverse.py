"""The URLs of the pages, wherever a site includes them."""

from __future__ import annotations

from contextlib import suppress
from itertools import product

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse


def access_tokens_url(request: HttpRequest | None, name: str, pk: int | None = None) -> str:
    """Return the URL of a page, by its name in ``access_tokens.urls``.

    The site may include the pages in a namespace, and below a path with parameters, such as
    ``<slug:team>/``. Both are taken from the request. Raise ``NoReverseMatch`` if the site doesn't
    include the pages, or includes them elsewhere.
    """
    match = request and request.resolver_match
    namespaces = match.namespaces if match else []
    captured = list(match.kwargs.items()) if match else []
    own = {} if pk is None else {"pk": pk}
    # The innermost first.
    for depth, count in product(range(len(namespaces), -1, -1), range(len(captured), -1, -1)):
        view = ":".join([*namespaces[:depth], "access_tokens", name])
        kwargs = dict(captured[:count]) | own
        with suppress(NoReverseMatch):
            return reverse(view, kwargs=kwargs, current_app=":".join(namespaces))
    raise NoReverseMatch(f"The page {name!r} of access_tokens can't be reversed from here.")
