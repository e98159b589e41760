from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps
from django.core import checks
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.utils.translation import gettext_lazy as _

from .checks.rest_framework import (
    check_api,
    check_default_authentication,
    check_legacy_formats,
    check_required_scopes,
)
from .checks.settings import check_settings
from .checks.templates import check_base_template
from .emails import receive_token_created
from .last_used import write_deferred
from .signals import token_created


class AccessTokensConfig(AppConfig):
    name = "access_tokens"
    verbose_name = _("Access tokens")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        checks.register(check_settings, checks.Tags.security)
        checks.register(check_base_template, checks.Tags.templates)
        checks.register(check_default_authentication, checks.Tags.security)
        checks.register(check_legacy_formats, checks.Tags.security)
        checks.register(check_required_scopes, checks.Tags.urls)
        checks.register(check_api, checks.Tags.urls)
        token_created.connect(receive_token_created)
        if apps.is_installed("drf_spectacular"):
            import_module("access_tokens.api.schema")  # Its extensions register themselves.
        # Some servers never close a response, so the next request is the end of the one before.
        request_started.connect(write_deferred)
        # Write before Django cleans up its connections: otherwise each write opens a new one.
        was_connected = request_finished.disconnect(close_old_connections)
        request_finished.connect(write_deferred)
        if was_connected:
            request_finished.connect(close_old_connections)
