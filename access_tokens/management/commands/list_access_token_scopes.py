from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.contrib.admindocs.views import simplify_regex
from django.core.management.base import BaseCommand

from access_tokens.conf import conf
from access_tokens.management import aligned
from access_tokens.scopes import (
    accepts_tokens,
    api_views,
    methods_of,
    needed_scopes,
    required_scopes_of,
)


class Command(BaseCommand):
    help = (
        "List the endpoints of Django REST framework, each with the scopes that a token needs. "
        "OPTIONS and HEAD are left out."
    )

    def handle(self, **options: Any) -> None:
        if not conf.SCOPES:
            self.stderr.write("Scopes are off: ACCESS_TOKENS['SCOPES'] is empty.")
        for line in aligned(endpoints()):
            self.stdout.write(line)


def endpoints() -> Iterator[tuple[str, str, str]]:
    for path, view in api_views():
        path = simplify_regex(path)
        if re.search(r"<(\w+:)?format>/?$", path):
            continue  # The same endpoint in another format.
        for method, action in sorted(methods_of(view).items()):
            if method not in {"HEAD", "OPTIONS"}:
                yield path, method, needs(view, method, action)


def needs(view: Any, method: str, action: str | None) -> str:
    if not accepts_tokens(view):
        return "(no access tokens)"
    return " ".join(needed_scopes(required_scopes_of(view), method, action)) or "(any token)"
