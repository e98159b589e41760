"""The pictures of the documentation, taken of the real pages: ``make pictures``."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import Random
from typing import Literal

import pytest
import time_machine
from django.contrib.auth.models import User
from PIL import Image
from playwright.sync_api import Page
from pytest_django import Settings

from access_tokens import crypto

from .states import dialog, filled, reveal

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
MAX_BYTES = 200_000

pytestmark = pytest.mark.browser_context_args(device_scale_factor=2)


@pytest.fixture(autouse=True)
def same_each_time(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.ACCESS_TOKENS |= {"API_URL": "https://example.com/api/"}
    monkeypatch.setattr(crypto, "secrets", Random(7))  # noqa: S311  # nobody's secrets
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("name", "state", "height"),
    [("page", filled, 790), ("reveal", reveal, 680), ("delete", dialog, 790)],
)
def test_picture(
    page: Page,
    user: User,
    settings: Settings,
    name: str,
    state: Callable[[Page, User], None],
    height: int,
    scheme: Literal["light", "dark"],
) -> None:
    page.set_viewport_size({"width": 1180, "height": height})
    page.emulate_media(color_scheme=scheme)
    state(page, user)

    path = settings.BASE_DIR / "docs" / f"{name}-{scheme}.png"
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    assert path.stat().st_size < MAX_BYTES
