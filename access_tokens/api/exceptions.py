"""The exceptions of the API that DRF doesn't have."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions, status
from rest_framework.serializers import as_serializer_error


class TokenNotAllowed(exceptions.PermissionDenied):
    """A token never lists, creates, changes or deletes tokens, whatever its scopes."""

    default_detail = _(
        "An access token may not manage tokens. It may only use self/, about itself."
    )
    default_code = "token_not_allowed"


class TokenRequired(exceptions.PermissionDenied):
    default_detail = _("Use an access token here, rather than a session.")
    default_code = "token_required"


class Conflict(exceptions.APIException):
    """Another request changed the token first."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


def api_exception(error: ValidationError) -> exceptions.APIException:
    """Return the exception of DRF for an error of the model, with the same texts and codes."""
    code = getattr(error, "code", None)
    if code == "conflict":
        return Conflict(error.message)
    if code == "rotation_off":
        return exceptions.PermissionDenied(error.message, code)
    return exceptions.ValidationError(as_serializer_error(error))
