"""The model fields that a token needs."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import lookups
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    CharField = models.CharField[str, str]
    DateTimeField = models.DateTimeField[datetime | None, datetime | None]
else:
    CharField = models.CharField
    DateTimeField = models.DateTimeField

# Two days from Python's first and last day, since a time zone may be a day ahead or behind.
EARLIEST: Final = datetime(1, 1, 3)  # noqa: DTZ001  # in the zone of what it's compared with
LATEST: Final = datetime(9999, 12, 29)  # noqa: DTZ001

# Control, surrogate, line and paragraph separator (Unicode, general categories).
FORBIDDEN_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
# The explicit directional formatting characters of UAX #9, which can spoof a displayed name.
BIDI_CONTROLS = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Format, space and combining characters, private and unassigned code points.
INVISIBLE_CATEGORIES = {"Cf", "Cn", "Co", "Me", "Mn", "Zs"}
# Letters and symbols without a glyph.
BLANKS = set("\u115f\u1160\u2800\u3164\uffa0\U00013441\U00013442\U0001d159")


def validate_printable(value: str) -> None:
    """Raise ``ValidationError`` for characters that hide or disguise what a name says."""
    if any(c in BIDI_CONTROLS or unicodedata.category(c) in FORBIDDEN_CATEGORIES for c in value):
        raise ValidationError(_("The name contains a control character."), code="control")
    if all(c in BLANKS or unicodedata.category(c) in INVISIBLE_CATEGORIES for c in value):
        raise ValidationError(_("The name has no visible character."), code="invisible")


class NameField(CharField):
    """A trimmed, printable name that is compared exactly as written on every database."""

    default_validators = [validate_printable]

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)
        return value.strip() if isinstance(value, str) else value

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters = dict(super().db_parameters(connection))
        if connection.vendor == "mysql":
            # The default collations of MySQL and MariaDB ignore case and accents.
            parameters["collation"] = "utf8mb4_bin"
        return parameters


@NameField.register_lookup
class NameIContains(lookups.IContains):
    """Ignore case where the collation of names doesn't."""

    def as_mysql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        name, name_params = self.process_lhs(compiler, connection)
        part, part_params = self.process_rhs(compiler, connection)
        return f"LOWER({name}) LIKE LOWER({part})", [*name_params, *part_params]


class BoundedDateTimeField(DateTimeField):
    """A time that exists in every time zone. One that doesn't is replaced by the nearest that does.

    Fixtures and imports may contain such times, and an overflow makes each list of tokens fail.
    """

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        if value is None:
            return None
        earliest, latest = (limit.replace(tzinfo=value.tzinfo) for limit in (EARLIEST, LATEST))
        return min(max(value, earliest), latest)
