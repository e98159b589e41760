"""What a test sees of a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

import html5lib

ADDRESSES = {"href", "src", "action", "formaction"}
HANDLER = re.compile(r"on[a-z]+")


class Page:
    """The elements of a response, which must be valid HTML to be ``strict``."""

    def __init__(self, response: Any, *, strict: bool = True) -> None:
        self.html: str = response.content.decode()
        parser = html5lib.HTMLParser(strict=strict, namespaceHTMLElements=False)
        self.root: Element = parser.parse(self.html)

    def all(self, path: str) -> list[Element]:
        """Return the elements at ``path``, in the XPath of ElementTree."""
        return self.root.findall(f".//{path}")

    def one(self, path: str) -> Element:
        (element,) = self.all(path)
        return element

    def texts(self, path: str) -> list[str]:
        return [text(element) for element in self.all(path)]

    def text(self, path: str) -> str:
        return text(self.one(path))

    @property
    def title(self) -> str:
        return self.text("title")

    @property
    def body(self) -> str:
        return self.text("body")

    def inline_code(self) -> Iterator[str]:
        """Yield what a strict Content-Security-Policy would block."""
        for element in self.root.iter():
            if element.tag == "style" or (element.tag == "script" and "src" not in element.attrib):
                yield str(element.tag)
            for name, value in element.attrib.items():
                is_script = name in ADDRESSES and value.startswith("javascript:")
                if is_script or name == "style" or HANDLER.fullmatch(name):
                    yield f"{element.tag} {name}"


def text(element: Element) -> str:
    """Return the text of an element, with single spaces."""
    return " ".join("".join(element.itertext()).split())
