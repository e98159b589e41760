"""Update the catalogues in ``access_tokens/locale`` from the strings of the package.

New strings get an empty translation, and strings that are gone are removed. To add a language,
add it to ``LANGUAGES``, run this, and copy the plural forms of Django's catalogue into the new one.
"""

from __future__ import annotations

from copy import copy
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

PACKAGE: Final = Path(__file__).resolve().parent.parent / "access_tokens"
LANGUAGES: Final = ("ar", "de", "es", "fr", "ja", "pt_BR", "zh_Hans")
# The positions of the context ("c"), the message and its plural among a function's arguments.
KEYWORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(["_", "gettext", "gettext_lazy"]),
    **dict.fromkeys(["ngettext", "ngettext_lazy"], (1, 2)),
    **dict.fromkeys(["pgettext", "pgettext_lazy"], ((1, "c"), 2)),
    **dict.fromkeys(["npgettext", "npgettext_lazy"], ((1, "c"), 2, 3)),
}
# The other headers contain dates, people and versions, which change without the translations.
HEADERS: Final = ("Language", "Plural-Forms", "MIME-Version", "Content-Type")


class PackageCatalog(Catalog):
    def _get_stable_headers(self) -> list[tuple[str, str]]:
        headers = [header for header in self._get_mime_headers() if header[0] in HEADERS]
        return [*headers, ("Content-Transfer-Encoding", "8bit\n")]

    mime_headers = property(_get_stable_headers, Catalog._set_mime_headers)


def po_path(language: str) -> Path:
    return PACKAGE / f"locale/{language}/LC_MESSAGES/django.po"


def extract_messages() -> Catalog:
    """Return all messages in the Python code and the templates, with the files they're in."""
    messages = Catalog()
    templates = {*PACKAGE.glob("templates/**/*.html"), *PACKAGE.glob("templates/**/*.txt")}
    for path in sorted([*PACKAGE.rglob("*.py"), *templates]):
        code = path.read_text(encoding="utf-8")
        if path in templates:
            # templatize() returns Python code with wrong indentation.
            code = "\n".join(map(str.strip, templatize(code).split("\n")))
        location = (path.relative_to(PACKAGE).as_posix(), 0)
        found = extract("python", BytesIO(code.encode()), KEYWORDS, ["Translators"])
        for _line, message, comments, context in found:
            messages.add(message, None, [location], auto_comments=comments, context=context)
    return messages


def update_catalog(language: str, messages: Catalog) -> Catalog:
    """Return ``messages`` with the translations from the .po file."""
    old = Catalog(locale=language)
    if po_path(language).exists():
        old = read_po(BytesIO(po_path(language).read_bytes()), locale=language)
    catalog = PackageCatalog(locale=language, fuzzy=False)
    catalog.header_comment = "# After changing this file or a string, run: make messages"
    catalog.mime_headers = old.mime_headers
    for message in messages:
        known = old.get(message.id, message.context)
        if message.id:
            message = copy(message)
            if known and known.id == message.id:
                message.string = known.string
                message.flags = message.flags | known.flags
                message.user_comments = known.user_comments
            catalog[message.id] = message
    return catalog


def po_file(catalog: Catalog) -> bytes:
    file = BytesIO()
    write_po(file, catalog, width=0, sort_output=True, include_lineno=False)
    return file.getvalue()


def mo_file(catalog: Catalog) -> bytes:
    file = BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


if __name__ == "__main__":
    messages = extract_messages()
    for language in LANGUAGES:
        catalog = update_catalog(language, messages)
        path = po_path(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(po_file(catalog))
        path.with_suffix(".mo").write_bytes(mo_file(catalog))
