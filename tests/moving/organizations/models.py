"""API keys that belong to organizations, each of which has an owner, and keys of a site."""

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from rest_framework_api_key.models import AbstractAPIKey


class Organization(models.Model):  # noqa: DJ008
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True)


class OrganizationAPIKey(AbstractAPIKey):  # type: ignore[misc]  # it has no types
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE)


class Key(models.Model):  # noqa: DJ008
    """Like the model of authtoken, but a user may have several."""

    key = models.CharField(max_length=40, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    created = models.DateTimeField(auto_now_add=True)


class Staff(User):
    class Meta:
        proxy = True


class StaffKey(models.Model):  # noqa: DJ008
    key = models.CharField(max_length=40, primary_key=True)
    user = models.ForeignKey(Staff, on_delete=models.CASCADE)
    created = models.DateTimeField(auto_now_add=True)
