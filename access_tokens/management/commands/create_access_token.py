from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from access_tokens.conf import conf
from access_tokens.limits import end_of_day
from access_tokens.management import get_user, write_secret
from access_tokens.models import Token


class Command(BaseCommand):
    help = "Create an access token for a user. The secret alone goes to stdout, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="What the user logs in with.")
        parser.add_argument("name", help="What will use the token.")
        parser.add_argument(
            "--expires-in-days", type=int, metavar="N", help="No expiration by default."
        )
        if conf.SCOPES:
            parser.add_argument(
                "--scopes", nargs="+", choices=conf.SCOPES, help="Full access by default."
            )

    def handle(
        self,
        *,
        username: str,
        name: str,
        expires_in_days: int | None,
        scopes: list[str] | None = None,
        **options: Any,
    ) -> None:
        user = get_user(username)
        try:
            expires_at = None if expires_in_days is None else end_of_day(expires_in_days)
            _token, secret = Token.objects.create_token(
                user=user, name=name, expires_at=expires_at, scopes=scopes
            )
        except ValidationError as error:
            option = (
                "--expires-in-days: " if "expires_at" in getattr(error, "error_dict", ()) else ""
            )
            raise CommandError(option + " ".join(error.messages)) from None
        except OverflowError:
            raise CommandError("--expires-in-days: The expiration is too far away.") from None
        write_secret(self, secret)
