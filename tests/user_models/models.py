"""User models as sites have them."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models

if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField


class NamedUser(AbstractBaseUser):
    username = models.CharField(max_length=150, unique=True)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "username"

    objects = BaseUserManager["NamedUser"]()

    class Meta:
        abstract = True


class UuidUser(NamedUser):
    """Have a primary key that a backend converts, and names that must be quoted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    is_active = models.BooleanField(default=True, db_column="Where")

    class Meta:
        db_table = "order by Users"


class EmailUser(AbstractBaseUser):
    """Log in by e-mail address, which is the primary key, and be active always."""

    email = models.EmailField(primary_key=True)

    USERNAME_FIELD = "email"

    objects = BaseUserManager["EmailUser"]()


class AdminUser(NamedUser):
    """Have what Django's documentation gives to a user model for the admin, and no superusers."""

    is_staff = True

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return True

    def has_module_perms(self, app_label: str) -> bool:
        return True


class RolesField(TextField):
    """Keep a tuple as text."""

    def from_db_value(self, value: str | None, *args: Any) -> tuple[str, ...] | None:
        return None if value is None else tuple(value.split(","))

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else ",".join(value)


class ConvertedUser(NamedUser):
    """Have fields that a backend, Django or the site converts."""

    roles = RolesField(default=("reader", "writer"))
    no_roles = RolesField(null=True)
    options = models.JSONField(default=dict)
    credit = models.DecimalField(max_digits=9, decimal_places=2, default=Decimal("1.50"))
    patience = models.DurationField(default=timedelta(hours=1, microseconds=1))
    agent = models.GenericIPAddressField(default="::1")
    badge = models.UUIDField(default=uuid.uuid4)
    picture = models.FileField(default="ada.png")
    manager = models.ForeignKey("self", models.SET_NULL, null=True)


class Webhook(models.Model):
    """Relate to tokens without owning them."""

    # The table of tokens is created after this one.
    tokens = models.ManyToManyField("access_tokens.Token", db_constraint=False)

    def __str__(self) -> str:
        return str(self.pk)


class Person(NamedUser):
    pass


class Employee(Person):
    """Have two tables."""

    number = models.PositiveIntegerField(default=7)
