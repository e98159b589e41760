from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access_tokens.emails import EXPIRY_NOTICE_DAYS, expiring_tokens, send_expiry_emails
from access_tokens.management import counted, number_of_days


class Command(BaseCommand):
    help = "Tell users by email which of their access tokens expire soon. Run it once a day."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            nargs="+",
            type=number_of_days,
            default=EXPIRY_NOTICE_DAYS,
            metavar="N",
            help="How many days before the expiration, by default 7 and 1.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Send nothing, but say who would get an email."
        )

    def handle(self, *, days: list[int], dry_run: bool, **options: Any) -> None:
        if dry_run:
            due = list(expiring_tokens(days))
            for user, notices in due:
                self.stdout.write(f"{user.get_username()}: {', '.join(map(str, notices))}")
            self.stdout.write(f"Would send {counted(len(due), 'email')}.")
            return
        sent, failed = send_expiry_emails(days)
        self.stdout.write(f"Sent {counted(sent, 'email')}.")
        if failed:
            raise CommandError(
                f"{counted(failed, 'email')} could not be sent. The next run tries again."
            )
