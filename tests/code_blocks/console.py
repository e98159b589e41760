"""Check that the programs of a shell line understand their arguments."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from argparse import ArgumentParser
from collections.abc import Callable, Collection, Iterator

from django.core.management import get_commands, load_command_class

from tests.docs import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NPM = json.loads((ROOT / "tests/schema/typescript/package.json").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
# A choice where the text describes a command: "(--name NAME | --all)" or "gitleaks|regex".
CHOICE = re.compile(r"[(\[]([^][()|]+(?: \| [^][()|]+)+)[)\]]|(?<![\w|-])([\w-]+(?:\|[\w-]+)+)")
# What stands for the values of a user there.
VALUES = {"--scopes NAME": "--scopes read", "--prefix P": "--prefix pat", "N": "7"}


def check_line(line: str, known: Collection[str] = ()) -> None:
    """Raise an exception if a program of the line doesn't understand its arguments.

    The arguments of the ``known`` commands of manage.py aren't checked.
    """
    for variant in variants(line.partition(" #")[0]):
        for command in re.split(r" \| | && ", variant):
            check_command(shlex.split(re.sub(r" <\s*\S+| 2?>+\s*\S+", "", command)), known)


def variants(line: str) -> Iterator[str]:
    """Return a line for each choice that it offers, with all options that it has."""
    if "manage.py" not in line:
        yield line
    elif match := CHOICE.search(line):
        for choice in (match[1] or match[2]).split("|"):
            yield from variants(line.replace(match[0], choice.strip(), 1))
    else:
        line = re.sub(r"\[|\]| \.\.\.", "", line)
        for placeholder, value in VALUES.items():
            line = re.sub(rf"(?<![\w-]){placeholder}\b", value, line)
        yield line


def check_command(words: list[str], known: Collection[str]) -> None:
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    for number, word in enumerate(words):
        if word.endswith("manage.py") or word == "django-admin":
            if words[number + 1] not in known:
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


def check_npm(words: list[str]) -> None:
    command, *arguments = words
    names = {word.partition("@")[0] for word in arguments if not word.startswith("--")}
    assert command == "install"
    assert names <= {*NPM["dependencies"], *NPM["devDependencies"]}


def check_npx(words: list[str]) -> None:
    assert words[0] in NPM["devDependencies"]


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
    "npm": check_npm,
    "npx": check_npx,
    "pip": check_pip,
    "python": check_python,
    "apt-get": accept,
    "cd": accept,
    "export": accept,
    "git": accept,
    "gitleaks": accept,
    "printf": accept,
    "source": accept,
    "zcat": accept,
}
