from __future__ import annotations

from django.apps import apps
from django.core.checks.registry import registry
from django.core.signals import request_finished
from django.db import close_old_connections

from access_tokens.checks.rest_framework import (
    check_default_authentication,
    check_legacy_formats,
    check_required_scopes,
)
from access_tokens.checks.settings import check_settings
from access_tokens.checks.templates import check_base_template
from access_tokens.last_used import write_deferred


def test_app_has_its_names() -> None:
    config = apps.get_app_config("access_tokens")

    assert (config.name, config.verbose_name) == ("access_tokens", "Access tokens")


def test_checks_are_registered() -> None:
    assert {
        check_settings,
        check_base_template,
        check_default_authentication,
        check_legacy_formats,
        check_required_scopes,
    } <= registry.registered_checks


def test_uses_are_written_before_connections_are_closed() -> None:
    receivers = request_finished._live_receivers(None)[0]

    assert receivers.count(write_deferred) == receivers.count(close_old_connections) == 1
    assert receivers.index(write_deferred) < receivers.index(close_old_connections)


def test_setting_up_again_changes_nothing() -> None:
    apps.get_app_config("access_tokens").ready()

    test_uses_are_written_before_connections_are_closed()


def test_a_clean_up_that_a_site_switched_off_stays_off() -> None:
    request_finished.disconnect(close_old_connections)
    try:
        apps.get_app_config("access_tokens").ready()
        assert close_old_connections not in request_finished._live_receivers(None)[0]
    finally:
        request_finished.connect(close_old_connections)
