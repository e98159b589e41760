from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from access_tokens.conf import conf
from access_tokens.management import counted, number_of_days
from access_tokens.models import Token


class Command(BaseCommand):
    help = "Delete access tokens that expired, or were not used, for a number of days."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--expired-days",
            type=number_of_days,
            metavar="N",
            help="Tokens that expired at least N days ago.",
        )
        parser.add_argument(
            "--unused-days",
            type=number_of_days,
            metavar="N",
            help="Tokens that were last used, or else created, at least N days ago.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Delete nothing.")

    def handle(
        self,
        *,
        expired_days: int | None,
        unused_days: int | None,
        dry_run: bool,
        **options: Any,
    ) -> None:
        if expired_days is None and unused_days is None:
            raise CommandError("Give --expired-days, --unused-days or both.")
        tokens = Token.objects.none()
        if expired_days is not None:
            tokens |= Token.objects.expired(expired_days)
        if unused_days is not None:
            if conf.LAST_USED_RESOLUTION is None:
                raise CommandError(
                    "--unused-days: Uses are not recorded, since "
                    "ACCESS_TOKENS['LAST_USED_RESOLUTION'] is None."
                )
            limit = timezone.now() - timedelta(days=unused_days)
            # The new secret of a token that was rotated may not be in use yet.
            tokens |= Token.objects.unused(unused_days).exclude(rotated_at__gt=limit)
        count = tokens.count() if dry_run else tokens.prune()
        said = "Would delete" if dry_run else "Deleted"
        self.stdout.write(f"{said} {counted(count, 'access token')}.")
