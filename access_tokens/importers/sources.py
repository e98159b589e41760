"""Where other packages store their tokens. None of them is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.conf import settings
from django.db import router
from django.db.models import (
    BooleanField,
    Case,
    CharField,
    DateTimeField,
    Func,
    Model,
    TextField,
    Value,
    When,
)
from django.db.models.functions import SHA256, Concat, Left, Right, Substr

from ..legacy import FORMATS

if TYPE_CHECKING:
    from django.db.models import QuerySet

NEVER: Final = Value(None, output_field=DateTimeField())
NO: Final = Value(False, output_field=BooleanField())


class HexSHA256(SHA256):
    """SHA-256 in hexadecimal digits. On PostgreSQL, Django's own needs an extension."""

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "ENCODE(SHA256(CONVERT_TO(%(expressions)s, 'UTF8')), 'hex')"
        return Func.as_sql(self, compiler, connection, template=template, **context)


def digest_if(condition: dict[str, str], algorithm: str, digest: Any) -> Case:
    """Return the expression of what is stored of a secret, null where that can't be told."""
    stored = Concat(Value(f"{algorithm}$"), digest, output_field=CharField())
    return Case(When(**condition, then=stored), output_field=CharField())


def concat(*parts: Any) -> Concat:
    return Concat(*parts, output_field=TextField())


class Source(NamedTuple):
    """Where a package stores its tokens, and what becomes of its columns."""

    model: str
    # The path to the user; empty if the package has none.
    user_field: str
    digest: Any
    partial: Any
    name: Any
    expires_at: Any
    is_revoked: Any
    # Why a row may have no digest.
    unsupported: str

    def rows(self, model: type[Model], user: Any, name: str | None) -> QuerySet[Any, Any]:
        """Return the rows of all tokens, the oldest first, since the page lists the newest first."""
        rows = model._base_manager.using(router.db_for_write(model)).order_by("created", "pk")
        title = self.name if name is None else Value(name)
        return rows.values_list(
            user, self.digest, self.partial, title, "created", self.expires_at, self.is_revoked
        )


SOURCES: Final = {
    "authtoken": Source(
        model="authtoken.Token",
        user_field="user",
        # The database computes the digest, so that no secret leaves it.
        digest=digest_if(
            {"key__regex": f"^{FORMATS['authtoken'].shape}$"}, "sha256", HexSHA256("key")
        ),
        partial=concat(Left("key", 4), Value("…"), Right("key", 4)),
        name=Value("authtoken"),
        expires_at=NEVER,
        is_revoked=NO,
        unsupported="The key isn't 40 hexadecimal digits in lower case.",
    ),
    "knox": Source(
        model="knox.AuthToken",
        user_field="user",
        digest=digest_if({"token_key__regex": "^.{15}$"}, "sha512", "digest"),
        partial=concat("token_key", Value("…")),
        name=Value("knox"),
        expires_at="expiry",
        is_revoked=NO,
        unsupported="Version 4 or older created the token, and its digest is a different one.",
    ),
    "api-key": Source(
        model="rest_framework_api_key.APIKey",
        user_field="",
        digest=digest_if(
            {"hashed_key__startswith": "sha512$$", "prefix__regex": "^.{8}$"},
            "sha512",
            Substr("hashed_key", len("sha512$$") + 1),
        ),
        partial=concat("prefix", Value("…")),
        name="name",
        expires_at="expiry_date",
        is_revoked="revoked",
        unsupported="Version 2 or older stored the key. Version 3 updates its digest at the next use.",
    ),
}


def is_customized(package: str, model: type[Model]) -> bool:
    """Return whether the site changed the length of a package's secrets, or how it digests them."""
    if package == "knox":
        defaults = {"AUTH_TOKEN_CHARACTER_LENGTH": 64, "SECURE_HASH_ALGORITHM": "hashlib.sha512"}
        chosen = getattr(settings, "REST_KNOX", {})
        return any(chosen.get(key, value) != value for key, value in defaults.items())
    generator = getattr(model._default_manager, "key_generator", None)
    lengths = generator and (generator.prefix_length, generator.secret_key_length)
    return lengths not in (None, (8, 32))
