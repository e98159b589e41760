from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access_tokens.management import counted, get_user
from access_tokens.models import Token


class Command(BaseCommand):
    help = "Delete the access tokens of a user, which revokes them at once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="What the user logs in with.")
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--name", help="Only the token with this name.")
        which.add_argument("--all", action="store_true", help="All tokens of the user.")

    def handle(self, *, username: str, name: str | None, **options: Any) -> None:
        tokens = Token.objects.filter(user=get_user(username))
        if name is not None:
            tokens = tokens.filter(name=name)
        _total, deleted = tokens.delete()
        count = deleted.get(Token._meta.label, 0)
        if name is not None and not count:
            raise CommandError(f"{username} has no access token {name!r}.")
        self.stdout.write(f"Deleted {counted(count, 'access token')}.")
