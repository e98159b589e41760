"""Compare the compiled lookup with the ORM's, for one user model on two databases.

A process has one user model, so ``test_compiled.py`` starts one for each:
``python -m tests.user_models user_models.UuidUser``.
"""

from __future__ import annotations

import copy
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import dj_database_url
import django
from django.conf import settings

TIME = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def configure(user_model: str, use_tz: bool) -> None:
    default = dj_database_url.config(default="sqlite://:memory:")
    name = f"test_{user_model.lower().replace('.', '_')}_{os.getpid()}"
    databases = {"default": copy.deepcopy(default), "other": copy.deepcopy(default)}
    if "sqlite" not in default["ENGINE"]:
        databases["default"]["TEST"] = {"NAME": name}
        databases["other"]["TEST"] = {"NAME": f"{name}_other"}
    settings.configure(
        DATABASES=databases,
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "access_tokens",
            "tests.user_models",
        ],
        # Made by syncdb, since the models of this app have no migrations but relations to these.
        MIGRATION_MODULES={"contenttypes": None, "auth": None},
        AUTH_USER_MODEL=user_model,
        USE_TZ=use_tz,
        TIME_ZONE="UTC",
    )
    django.setup()


def state(instance: Any) -> dict[str, Any]:
    """Return all that is known of an instance, with types."""
    values = {name: value for name, value in vars(instance).items() if name != "_state"}
    return {
        "model": type(instance),
        "values": values,
        "types": {name: type(value) for name, value in values.items()},
        "deferred": instance.get_deferred_fields(),
        "database": instance._state.db,
        "is_new": instance._state.adding,
        "cached": set(instance._state.fields_cache),
        # New in Django 6.1.
        "fetch_mode": getattr(instance._state, "fetch_mode", None),
    }


class Comparison:
    """The checks on one database."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.tokens = Token.objects.db_manager(using)
        self.user = get_user_model()(**{get_user_model().USERNAME_FIELD: f"ada@{using}.example"})
        self.user.save(using=using)
        self.now = timezone.now()

    def create(self, **columns: Any) -> tuple[Token, str]:
        token, secret = self.tokens.create_token(user=self.user, name=f"{len(columns)}")
        self.tokens.filter(pk=token.pk).update(**columns)
        return token, secret

    def compare(self) -> None:
        _, unused = self.create()
        token, secret = self.create(
            expires_at=self.now + timedelta(days=1), last_used_at=self.now, created_at=self.now
        )
        for known in (unused, secret):
            self.compare_lookup(known)
        self.compare_update(token)
        self.verify_by_another_relation(token, secret)
        self.verify(secret)

    def compare_lookup(self, secret: str) -> None:
        digest = digest_secret(secret)
        tokens = self.tokens.select_related("user").defer(*DIGESTS, "expiry_notice")
        expected = tokens.get(digest=digest)
        with CaptureQueriesContext(connections[self.using]) as queries:
            found = compiled_lookup(Token, "digest").get(digest, using=self.using)
            assert found is not None
            assert state(found) == state(expected)
            assert state(found.user) == state(expected.user)
        assert len(queries) == 1, queries.captured_queries
        assert found.user == self.user
        assert found.digest == digest
        assert compiled_lookup(Token, "digest").get("sha256$", using=self.using) is None
        assert compiled_lookup(Token, "digest").is_trusted
        assert compiled_lookup(Token, "digest").plans[self.using].is_complete

    def compare_update(self, token: Token) -> None:
        for time in (TIME, TIME.replace(microsecond=0)):
            stored = time if settings.USE_TZ else time.replace(tzinfo=None)
            self.tokens.update(last_used_at=None)
            self.tokens.exclude(pk=token.pk).update(last_used_at=stored)
            for other in (stored - timedelta(days=1), stored, stored - timedelta(microseconds=1)):
                last_used.update(Token, token.pk, other, self.using)
            assert len(set(self.stored_text("last_used_at"))) == 1
            assert set(self.tokens.values_list("last_used_at", flat=True)) == {stored}

    def stored_text(self, name: str) -> list[str]:
        with connections[self.using].cursor() as cursor:
            cursor.execute(f"SELECT CAST({name} AS CHAR(40)) FROM access_tokens_token")  # noqa: S608
            return [value for (value,) in cursor.fetchall()]

    def verify(self, secret: str) -> None:
        assert self.tokens.verify(secret).user == self.user
        self.tokens.update(expires_at=self.now)
        assert self.reason(secret) == "expired"
        self.tokens.update(expires_at=None)
        if any(field.name == "is_active" for field in self.user._meta.fields):
            self.user.is_active = False
            self.user.save(using=self.using)
            assert self.reason(secret) == "inactive"
        self.user.delete(using=self.using)
        assert self.reason(secret) == "unknown"
        assert self.tokens.count() == 1  # the one of compare_databases()

    def verify_by_another_relation(self, token: Token, secret: str) -> None:
        webhook = Webhook._default_manager.using(self.using).create()
        tokens: Any = webhook.tokens
        tokens.add(token)
        assert tokens.db_manager(self.using).verify(secret) == token
        webhook.delete()

    def reason(self, secret: str) -> str:
        try:
            self.tokens.verify(secret)
        except TokenRejected as error:
            return error.reason
        return "accepted"


def compare_databases() -> None:
    """The same digest leads to another row on each database."""
    digest = digest_secret("pat_")
    for using in ("default", "other"):
        user = get_user_model()(**{get_user_model().USERNAME_FIELD: f"eve@{using}.example"})
        user.save(using=using)
        Token.objects.db_manager(using).create(user=user, name=using, digest=digest)
    for using in ("default", "other"):
        token = compiled_lookup(Token, "digest").get(digest, using=using)
        assert token is not None
        assert token.name == using
        assert token.user.get_username() == f"eve@{using}.example"
        assert token._state.db == token.user._state.db == using


if __name__ == "__main__":
    configure(sys.argv[1], use_tz="--naive" not in sys.argv)

    from django.contrib.auth import get_user_model
    from django.db import connections
    from django.test.utils import CaptureQueriesContext, setup_databases, teardown_databases
    from django.utils import timezone

    from access_tokens import last_used
    from access_tokens.crypto import digest_secret
    from access_tokens.exceptions import TokenRejected
    from access_tokens.models import Token
    from access_tokens.querysets import DIGESTS
    from access_tokens.verification import compiled_lookup
    from tests.user_models.models import Webhook

    made = setup_databases(verbosity=0, interactive=False)
    try:
        compare_databases()
        for alias in ("default", "other"):
            Comparison(alias).compare()
    finally:
        teardown_databases(made, verbosity=0)
