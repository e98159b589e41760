from __future__ import annotations

from collections import Counter
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, FieldError, ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Model, Value

from access_tokens.importers import Outcome, import_tokens
from access_tokens.importers.sources import SOURCES, Source, is_customized
from access_tokens.management import counted, get_user
from access_tokens.models import Token


class Command(BaseCommand):
    help = "Import the tokens of another package, so that their secrets work with LEGACY_FORMATS."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("package", choices=SOURCES)
        parser.add_argument("--model", help="A model of your own, such as app.Model.")
        user = parser.add_mutually_exclusive_group()
        user.add_argument("--user-field", metavar="FIELD", help="The field that leads to the user.")
        user.add_argument(
            "--user", metavar="USERNAME", help="The owner of tokens that have no user."
        )
        parser.add_argument("--name", help="The name of the tokens.")
        parser.add_argument("--dry-run", action="store_true", help="Import nothing.")

    def handle(
        self,
        *,
        package: str,
        model: str | None,
        user_field: str | None,
        user: str | None,
        name: str | None,
        dry_run: bool,
        **options: Any,
    ) -> None:
        source = SOURCES[package]
        table = get_model(model or source.model)
        if is_customized(package, table):
            raise CommandError("Secrets of another length or digest can't be imported.")
        try:
            if name is not None:
                name = Token._meta.get_field("name").clean(name, None)
            rows = source.rows(table, owner(source, table, user_field, user), name)
        except FieldError as error:
            raise CommandError(f"{table._meta.label} lacks a field: {error}") from None
        except ValidationError as error:
            raise CommandError(f"--name: {' '.join(error.messages)}") from None
        total = rows.count() if self.stderr.isatty() else None
        outcomes: Counter[Outcome] = Counter()
        for chunk in import_tokens(rows, fallback_name=package, dry_run=dry_run):
            outcomes += chunk
            if total is not None:
                self.stderr.write(f"\r{outcomes.total():,} of {total:,} ", ending="")
        self.report(outcomes, source, dry_run)

    def report(self, outcomes: Counter[Outcome], source: Source, dry_run: bool) -> None:
        imported = outcomes.pop(Outcome.IMPORTED, 0)
        said = "Would import" if dry_run else "Imported"
        self.stdout.write(f"{said} {counted(imported, 'access token')}.")
        for outcome, number in sorted(outcomes.items()):
            why = f" {source.unsupported}" if outcome is Outcome.UNSUPPORTED else ""
            self.stdout.write(f"Left out {number}: {outcome}.{why}")
        if imported and not dry_run:
            self.stderr.write(
                "Until their next use, prune_access_tokens counts them as unused since they were "
                "created."
            )


def get_model(label: str) -> type[Model]:
    """Return the model, or the one that the site put in its place, or raise ``CommandError``."""
    try:
        model = apps.get_model(label)
        return apps.get_model(model._meta.swapped) if model._meta.swapped else model
    except (LookupError, ValueError):
        raise CommandError(f"There is no model {label}. Is its app installed?") from None


def owner(source: Source, model: type[Model], user_field: str | None, username: str | None) -> Any:
    """Return what the query takes the user of a token from."""
    path = user_field or source.user_field
    if username is not None:
        if path:
            raise CommandError("--user: These tokens have users of their own.")
        # Values are converted by the field that a relation points to, not by the relation.
        field: Any = get_user_model()._meta.pk
        while field.remote_field:
            field = field.target_field
        return Value(get_user(username).pk, output_field=field)
    if not path:
        raise CommandError("These tokens have no users. Give one with --user or --user-field.")
    if not leads_to_user(model, path):
        raise CommandError(f"{model._meta.label}.{path} doesn't lead to a user.")
    return f"{path}__pk"


def leads_to_user(model: Any, path: str) -> bool:
    for name in path.split("__"):
        try:
            field = model._meta.get_field(name)
        except (AttributeError, FieldDoesNotExist):
            return False
        # Through a relation to many, one token would have several users.
        model = field.related_model if field.many_to_one or field.one_to_one else None
    user_model = get_user_model()._meta.concrete_model
    return model is not None and model._meta.concrete_model is user_model
