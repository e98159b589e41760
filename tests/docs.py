"""The documentation: the README and the pages in docs."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {path.stem: path.read_text() for path in sorted((ROOT / "docs").rglob("*.md"))}
DOCS = "\n".join([README, *PAGES.values()])


def code_block(start: str) -> str:
    """Return the code block that has a line starting with ``start``."""
    blocks: list[str] = re.findall(r"```\w+\n(.*?)```", DOCS, re.DOTALL)
    (block,) = (b for b in blocks if any(line.startswith(start) for line in b.splitlines()))
    return block
