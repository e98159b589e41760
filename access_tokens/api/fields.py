"""The fields that DRF doesn't have: for scopes, states and expirations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from rest_framework import serializers

from ..conf import conf
from ..querysets import State
from ..scopes import join_scopes


class ScopesField(serializers.MultipleChoiceField):
    """The names of scopes, a list. The value is what the token stores."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=list(conf.SCOPES.items()), **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, list):
            self.fail("not_a_list", input_type=type(data).__name__)
        try:
            return join_scopes([str(name) for name in data])
        except ValidationError as error:
            raise ValidationError(error.error_dict["scopes"]) from None

    def to_representation(self, value: str) -> list[str]:  # type: ignore[override]  # as above
        return value.split()


class StateField(serializers.ChoiceField):
    """The state of a token."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=list(map(str, State)), **kwargs)


class ExpirationField(serializers.DateTimeField):
    """A time. One that has no equivalent in UTC is refused."""

    def enforce_timezone(self, value: datetime) -> datetime:
        try:
            if not settings.USE_TZ and timezone.is_aware(value):
                # DRF takes the time in UTC, but a naive time is in the site's time zone.
                return timezone.make_naive(value, timezone.get_default_timezone())
            return super().enforce_timezone(value)
        except OverflowError:
            self.fail("overflow")
