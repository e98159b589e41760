"""What the program prints: tables to standard output, progress to a terminal."""

from __future__ import annotations

import sys


def print_heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}\n")


def print_table(rows: list[list[str]]) -> None:
    """Print ``rows``, the first column aligned to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[0] = row[0].ljust(widths[0])
        print("  ".join(cells).rstrip(), flush=True)


def progress(text: str) -> None:
    """Show ``text`` in place of the one before, if anybody looks."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
