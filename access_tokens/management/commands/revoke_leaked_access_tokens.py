from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access_tokens.leaks import find_secrets, revoke_leaked

if TYPE_CHECKING:
    from access_tokens.models import Token

BLOCK_SIZE: Final = 1_048_576


class Command(BaseCommand):
    help = (
        "Read any text from standard input, such as a log, and revoke the access tokens in it. "
        "Their owners get an email."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Revoke nothing, but say what would be revoked."
        )

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        if sys.stdin.isatty():
            self.stderr.write("Paste the text, then press Enter and Ctrl+D.")
        # Read what is there, so that a terminal needs only one Ctrl+D.
        read = sys.stdin.buffer.read1  # type: ignore[union-attr]  # not of every BinaryIO
        leaks = revoke_leaked(find_secrets(iter(partial(read, BLOCK_SIZE), b"")), dry_run=dry_run)
        for token in leaks.deleted:
            self.write_token("Would delete" if dry_run else "Deleted", token, token.partial)
        for token in leaks.ended:
            verb = "Would end the old secret of" if dry_run else "Ended the old secret of"
            self.write_token(verb, token, token.previous_partial)
        known = [*leaks.deleted, *leaks.ended, *leaks.failed]
        self.stdout.write(
            f"Secrets found: {leaks.found}\n"
            f"Tokens {'to delete' if dry_run else 'deleted'}: {len(leaks.deleted)}\n"
            f"Old secrets {'to end' if dry_run else 'ended'}: {len(leaks.ended)}\n"
            f"Secrets that give no access: {leaks.found - len(known)}"
        )
        if leaks.failed:
            raise CommandError(
                f"Tokens that could not be revoked and still work: {len(leaks.failed)}. "
                "The log says why. Run this again."
            )

    def write_token(self, verb: str, token: Token, partial: str) -> None:
        self.stdout.write(f"{verb} {token.user.get_username()}: {token.name} ({partial})")
