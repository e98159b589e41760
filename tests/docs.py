"""The documentation: the README and the pages in docs."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ROOT_PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
FILES = [*ROOT_PAGES, *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = {
    path.relative_to(ROOT / "docs").with_suffix("").as_posix(): path.read_text()
    for path in FILES[len(ROOT_PAGES) :]
}
DOCS = "\n".join([README, *PAGES.values()])


class Block(NamedTuple):
    """A block of code, with the path of its page and the number of its first line."""

    page: str
    line: int
    language: str
    code: str

    @property
    def module(self) -> str | None:
        """Return the path in the comment on the first line, as in ``# mysite/urls.py``."""
        match = re.match(r"# (\S+/\S+\.py)\n", self.code)
        return match and match[1]


def blocks(path: Path) -> list[Block]:
    """Return the blocks of code of a page, without directives such as ``{image}``."""
    text = path.read_text()
    page = path.relative_to(ROOT).as_posix()
    fences = re.finditer(r"^( *)(```+)([^\n`]*)\n(.*?)^\1\2$", text, re.DOTALL | re.MULTILINE)
    return [
        Block(page, text.count("\n", 0, fence.start(4)) + 1, fence[3].strip(), dedent(fence[4]))
        for fence in fences
        if not fence[3].startswith("{")
    ]


BLOCKS = [block for path in FILES for block in blocks(path)]


def code_block(start: str) -> str:
    """Return the code block that has a line starting with ``start``."""
    (code,) = (
        block.code
        for block in BLOCKS
        if any(line.startswith(start) for line in block.code.splitlines())
    )
    return code
