from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from access_tokens.limits import end_of_day
from access_tokens.management import get_user
from access_tokens.models import Token


class Command(BaseCommand):
    help = "Create an access token for a user. The secret alone goes to stdout, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="What the user logs in with.")
        parser.add_argument("name", help="What will use the token.")
        parser.add_argument(
            "--expires-in-days", type=int, metavar="N", help="No expiration by default."
        )

    def handle(
        self, *, username: str, name: str, expires_in_days: int | None, **options: Any
    ) -> None:
        user = get_user(username)
        try:
            expires_at = None if expires_in_days is None else end_of_day(expires_in_days)
            _token, secret = Token.objects.create_token(user=user, name=name, expires_at=expires_at)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        except OverflowError:
            raise CommandError("The expiration is too far away.") from None
        self.stderr.write(
            "This is the only time the token is shown. Store it in a password manager or vault."
        )
        self.stdout.write(secret)
