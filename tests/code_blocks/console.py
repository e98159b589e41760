"""Checks that a line for a shell says what its programs understand."""

from __future__ import annotations

import re
import shlex
import tomllib
from argparse import ArgumentParser
from collections.abc import Callable, Iterator

from django.core.management import get_commands, load_command_class

from tests.docs import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
# A word, a number or a choice, where the text describes a command.
ALTERNATIVES = re.compile(r"\(([^()|]+) \| ([^()|]+)\)|(?<![\w|-])([\w-]+)((?:\|[\w-]+)+)")


def check_line(line: str) -> None:
    """Raise an exception if a program of the line doesn't understand its arguments."""
    for variant in variants(line.partition(" #")[0]):
        for command in re.split(r" \| | && ", variant):
            check_command(shlex.split(re.sub(r" <\s*\S+| 2?>+\s*\S+", "", command)))


def variants(line: str) -> Iterator[str]:
    """Return a line for each choice that it offers, with all options that it has."""
    match = ALTERNATIVES.search(line)
    if not match:
        is_usage = "manage.py" in line
        plain = re.sub(r"\[|\]| \.\.\.", "", line) if is_usage else line
        yield re.sub(r"\bN\b", "7", plain.replace("--scopes NAME", "--scopes read"))
        return
    first, second, word, words = match.groups()
    for choice in (first, second) if first else (word + words).split("|"):
        yield from variants(line.replace(match[0], choice, 1))


def check_command(words: list[str]) -> None:
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    for number, word in enumerate(words):
        if word.endswith("manage.py") or word == "django-admin":
            check_manage(words[number + 1 :])
            return
    if words:
        PROGRAMS[words[0]](words[1:])


def check_manage(words: list[str]) -> None:
    name, *arguments = words
    command = load_command_class(get_commands()[name], name)
    command.create_parser("manage.py", name).parse_args(arguments)


def check_pip(words: list[str]) -> None:
    groups = PYPROJECT["dependency-groups"]
    known = [PYPROJECT["project"]["name"], *PYPROJECT["project"]["dependencies"]]
    known += [name for group in groups.values() for name in group]
    names = {re.split(r"[\[>=<~]", name)[0].lower() for name in known} | {".", "pip"}
    parser = ArgumentParser("pip", exit_on_error=False)
    parser.add_argument("command", choices=["install", "uninstall"])
    parser.add_argument("packages", nargs="*", type=lambda p: re.split(r"[\[>=<~]", p)[0].lower())
    parser.add_argument("--upgrade", action="store_true")
    parser.add_argument("--group", action="append", choices=groups)
    options = parser.parse_intermixed_args(words)
    assert set(options.packages) <= names, options.packages
    assert options.packages or options.group


def check_curl(words: list[str]) -> None:
    parser = ArgumentParser("curl", exit_on_error=False)
    parser.add_argument("-H", "--header", action="append")
    parser.add_argument("-X", "--request", choices=["DELETE", "PATCH", "POST", "PUT"])
    parser.add_argument("-d", "--data", action="append")
    parser.add_argument("-b", "--cookie")
    for option in ("--json", "-o", "-w"):
        parser.add_argument(option)
    for option in ("-f", "-i", "-s", "-fsS", "-sS"):
        parser.add_argument(option, action="store_true")
    parser.add_argument("url")
    assert re.match(r"https?://", parser.parse_intermixed_args(words).url)


def check_make(words: list[str]) -> None:
    targets = re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE)
    for word in words:
        name, is_variable, _ = word.partition("=")
        assert re.search(rf"\$[({{]{name}\b", MAKEFILE) if is_variable else word in targets, word


def check_python(words: list[str]) -> None:
    assert words[:2] in (["-m", "venv"], ["-m", "pytest"]), words


def accept(words: list[str]) -> None:
    """Accept the arguments of a program of the shell."""
    assert words


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "curl": check_curl,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
    "apt-get": accept,
    "cd": accept,
    "export": accept,
    "git": accept,
    "source": accept,
}
