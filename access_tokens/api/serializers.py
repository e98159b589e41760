"""The serializers of a token, of a new one, of a change and of a rotation."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.utils.html import is_html_input

from ..conf import conf
from ..crypto import Secret
from ..limits import LONGEST_EXPIRY, default_expiration, end_of_day, may_live_forever
from ..models import Token
from ..querysets import State
from .fields import ExpirationField, ScopesField, StateField

EXPIRATIONS: Final = {"expires_at", "expires_in_days"}


class StrictMixin(serializers.Serializer):  # type: ignore[type-arg]  # generic in the stubs alone
    """Refuse fields that are unknown or read-only, which DRF ignores."""

    default_error_messages = {"unknown_field": _("This field is unknown or read-only.")}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = {field.field_name for field in self._writable_fields}
            if is_html_input(data):
                known.add("csrfmiddlewaretoken")
            unknown = [str(name) for name in data if name not in known]
            if unknown:
                text = self.error_messages["unknown_field"]
                raise ValidationError(
                    {name: [ErrorDetail(str(text), "unknown_field")] for name in unknown}
                )
        return super().to_internal_value(data)


class TokenSerializer(serializers.ModelSerializer[Token]):
    """A token without its secret."""

    scopes = ScopesField(read_only=True, allow_null=True)
    state = StateField(read_only=True)
    previous_partial = serializers.CharField(read_only=True)
    previous_ends_at = serializers.DateTimeField(
        source="previous_end", read_only=True, allow_null=True
    )

    class Meta:
        # The component of OpenAPI: a site may have a Token of its own.
        ref_name = "AccessToken"
        model = Token
        fields: tuple[str, ...] = (
            "id",
            "name",
            "partial",
            "scopes",
            "created_at",
            "last_used_at",
            "expires_at",
            "state",
            "rotated_at",
            "previous_partial",
            "previous_ends_at",
        )
        read_only_fields: tuple[str, ...] = fields


class TokenSelfSerializer(TokenSerializer):
    """The token of the request, with the name of its user."""

    user = serializers.CharField(source="user.get_username", read_only=True)

    class Meta(TokenSerializer.Meta):
        ref_name = "AccessTokenSelf"
        fields = (*TokenSerializer.Meta.fields, "user")
        read_only_fields = fields

    def to_representation(self, token: Token) -> dict[str, Any]:
        # It's in use now, however long ago its last-used time is.
        return super().to_representation(token) | {"state": State.ACTIVE.value}


class TokenSecretSerializer(TokenSerializer):
    """The token with its secret, which is in the context and shown in this answer alone."""

    secret = serializers.SerializerMethodField()

    class Meta(TokenSerializer.Meta):
        ref_name = "AccessTokenSecret"
        fields = (*TokenSerializer.Meta.fields, "secret")
        read_only_fields = fields

    def get_secret(self, token: Token) -> str:
        # Not converted to a plain string, since its repr() is masked.
        return self.context["secret"]  # type: ignore[no-any-return]  # a Secret


class TokenChangeSerializer(StrictMixin, serializers.ModelSerializer[Token]):
    """Change the name, the scopes or both."""

    scopes = ScopesField()

    class Meta:
        ref_name = "AccessTokenChange"
        model = Token
        fields: tuple[str, ...] = ("name", "scopes")

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        if not conf.SCOPES:
            del fields["scopes"]
        return fields

    def update(self, token: Token, validated_data: dict[str, Any]) -> Token:
        token.change(**validated_data)
        return token


class TokenCreateSerializer(TokenChangeSerializer):
    """Create a token of the user and keep its ``secret``."""

    secret: Secret

    scopes = ScopesField(initial=["read"])
    expires_at = ExpirationField(required=False, allow_null=True)
    expires_in_days = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=LONGEST_EXPIRY
    )

    default_error_messages = {
        "one_expiration": _("Give expires_at or expires_in_days, not both."),
    }

    class Meta(TokenChangeSerializer.Meta):
        ref_name = "AccessTokenCreate"
        fields = (*TokenChangeSerializer.Meta.fields, "expires_at", "expires_in_days")

    def get_initial(self) -> dict[str, Any]:
        # The JSON that the browsable API suggests must not have both, and its form can't show a
        # value that isn't a date.
        initial = super().get_initial()
        return {name: value for name, value in initial.items() if name not in EXPIRATIONS}

    def to_internal_value(self, data: Any) -> Any:
        if is_html_input(data):
            # A form sends every field. Not data.copy(), since not every file can be copied.
            data = copy(data)
            for name in EXPIRATIONS:
                if not data.get(name):
                    data.pop(name, None)
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = attrs.keys() & EXPIRATIONS
        if len(given) == 2:
            self.fail("one_expiration")
        days = attrs.pop("expires_in_days", None)
        if days is not None:
            attrs["expires_at"] = end_of_day(days)
        elif not given:
            attrs["expires_at"] = default_expiration()
        elif attrs.setdefault("expires_at", None) is None and not may_live_forever():
            name = given.pop()
            raise ValidationError({name: self.fields[name].error_messages["null"]}, "null")
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Token:
        scopes = validated_data.pop("scopes", None)
        token, self.secret = Token.objects.create_token(
            user=self.context["request"].user,
            scopes=None if scopes is None else scopes.split(),
            **validated_data,
        )
        return token


class TokenRotateSerializer(StrictMixin):
    """Rotate a token and keep its new ``secret``."""

    secret: Secret

    end_previous_now = serializers.BooleanField(
        default=False, help_text=_("The old token may have leaked: stop it now")
    )

    class Meta:
        ref_name = "AccessTokenRotate"

    def update(self, token: Token, validated_data: dict[str, Any]) -> Token:
        self.secret = Token.objects.rotate(token, **validated_data)
        return token
