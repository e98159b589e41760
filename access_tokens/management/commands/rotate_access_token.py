from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from access_tokens.conf import conf
from access_tokens.management import get_token, write_secret
from access_tokens.models import Token
from access_tokens.templatetags.access_tokens import duration


class Command(BaseCommand):
    help = "Give an access token a new secret, which alone goes to stdout, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="What the user logs in with.")
        parser.add_argument("name", help="The name of the token.")
        parser.add_argument(
            "--end-previous-now",
            action="store_true",
            help="The old token may have leaked: stop it now.",
        )

    def handle(self, *, username: str, name: str, end_previous_now: bool, **options: Any) -> None:
        token = get_token(username, name)
        try:
            secret = Token.objects.rotate(token, end_previous_now=end_previous_now)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        overlap = duration(conf.ROTATION_OVERLAP or timedelta(0))
        self.stderr.write(
            "The old token no longer works."
            if end_previous_now
            else f"The old token works until {overlap} after the first use of the new one."
        )
        write_secret(self, secret)
