from __future__ import annotations

from datetime import datetime
from json import dumps
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from access_tokens.conf import conf
from access_tokens.management import aligned, get_user
from access_tokens.models import Token
from access_tokens.querysets import DIGESTS

HEADINGS = ("USER", "NAME", "TOKEN", "SCOPES", "CREATED", "LAST USED", "EXPIRES")


class Command(BaseCommand):
    help = "List the access tokens of all users or of one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", nargs="?", help="What the user logs in with.")
        parser.add_argument("--json", action="store_true", help="Write a JSON array.")

    def handle(self, *, username: str | None, json: bool, **options: Any) -> None:
        tokens = Token.objects.select_related("user").defer(*DIGESTS).order_by("user_id", "pk")
        if username is not None:
            tokens = tokens.filter(user=get_user(username))
        if json:
            items = [item(token) for token in tokens]
            self.stdout.write(dumps(items, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2))
        else:
            for line in aligned([HEADINGS, *map(row, tokens)]):
                self.stdout.write(line)


def item(token: Token) -> dict[str, Any]:
    return {
        "id": token.pk,
        "user": token.user.get_username(),
        "name": token.name,
        "partial": token.partial,
        "scopes": None if token.scopes is None else token.scopes.split(),
        "created_at": token.created_at,
        "last_used_at": token.last_used_at,
        "expires_at": token.expires_at,
        "rotated_at": token.rotated_at,
        "previous_partial": token.previous_partial,
        "previous_ends_at": token.previous_end,
    }


def row(token: Token) -> tuple[str, ...]:
    return (
        token.user.get_username(),
        token.name,
        token.partial,
        token.scopes or "full access",
        minute(token.created_at),
        minute(
            token.last_used_at, "never" if conf.LAST_USED_RESOLUTION is not None else "not recorded"
        ),
        minute(token.expires_at),
    )


def minute(time: datetime | None, missing: str = "never") -> str:
    if time is None:
        return missing
    return f"{timezone.template_localtime(time):%Y-%m-%d %H:%M}"  # type: ignore[attr-defined]  # not in the stubs
