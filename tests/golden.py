"""Secrets as they were issued, so that no later change can make one of them invalid."""

import json
from pathlib import Path
from typing import TypedDict


class Golden(TypedDict):
    secret: str
    digest: str
    partial: str


GOLDEN_SECRETS: list[Golden] = json.loads(
    Path(__file__).with_name("golden_secrets.json").read_text(encoding="utf-8")
)
