from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from pytest_django import Settings

from access_tokens.conf import DEFAULTS, conf, user_settings


@pytest.fixture(autouse=True)
def no_settings(settings: Settings) -> None:
    del settings.ACCESS_TOKENS


@pytest.mark.parametrize(
    ("key", "default"),
    [
        ("PREFIX", "pat"),
        ("LAST_USED_RESOLUTION", timedelta(seconds=1)),
        ("BASE_TEMPLATE", "access_tokens/base.html"),
        ("API_URL", "/"),
        ("EXPIRY_DAYS", (7, 30, 60, 90, 365, None)),
        ("EXPIRY_DEFAULT_DAYS", 90),
    ],
)
def test_setting_has_a_default(key: str, default: Any) -> None:
    assert getattr(conf, key) == default
    assert DEFAULTS[key] == default


def test_every_setting_is_typed() -> None:
    assert list(type(conf).__annotations__) == list(DEFAULTS)


@pytest.mark.parametrize(
    ("key", "value"), [("PREFIX", "acme"), ("LAST_USED_RESOLUTION", None), ("EXPIRY_DAYS", [])]
)
def test_setting_is_read_when_used(key: str, value: Any) -> None:
    with override_settings(ACCESS_TOKENS={key: value}):
        assert getattr(conf, key) == value
    assert getattr(conf, key) == DEFAULTS[key]


@override_settings(ACCESS_TOKENS={"PREFIX": "acme"})
def test_other_settings_keep_their_defaults() -> None:
    assert conf.API_URL == "/"


@override_settings(ACCESS_TOKENS={"PREFLX": "acme"})
def test_settings_are_returned_as_written() -> None:
    assert user_settings() == {"PREFLX": "acme"}


@pytest.mark.parametrize("name", ["PREFLX", "prefix", "__deepcopy__"])
@override_settings(ACCESS_TOKENS={})
def test_unknown_setting_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"There is no setting ACCESS_TOKENS\['{name}'\]\."):
        getattr(conf, name)
