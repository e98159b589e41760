from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from factory.declarations import Sequence, SubFactory
from factory.django import DjangoModelFactory

from access_tokens.crypto import Secret
from access_tokens.models import Token

if TYPE_CHECKING:

    class KnownToken(Token):
        secret: Secret

else:
    KnownToken = Token

# What create_token() does not take, or refuses.
COLUMNS = {"partial", "created_at", "last_used_at", "expires_at"}


class UserFactory(DjangoModelFactory[User]):
    """Make users who can log in by ``force_login()`` alone."""

    class Meta:
        model = User

    username = Sequence(lambda n: f"user{n}")  # type: ignore[no-untyped-call]  # factory-boy
    password = "!"


class TokenFactory(DjangoModelFactory[KnownToken]):
    """Make tokens, some of which could not be created today, that know their ``secret``."""

    class Meta:
        model = Token

    user = SubFactory(UserFactory)  # type: ignore[no-untyped-call]  # factory-boy
    name = Sequence(lambda n: f"token {n}")  # type: ignore[no-untyped-call]  # factory-boy

    @classmethod
    def _create(cls, model_class: type[Token], *args: Any, **kwargs: Any) -> KnownToken:
        columns = {column: kwargs.pop(column) for column in COLUMNS & kwargs.keys()}
        token: Any
        token, secret = model_class.objects.create_token(**kwargs)
        if columns:
            model_class.objects.filter(pk=token.pk).update(**columns)
            vars(token).update(columns)
        token.secret = secret
        return token  # type: ignore[no-any-return]  # a Token that knows its secret
