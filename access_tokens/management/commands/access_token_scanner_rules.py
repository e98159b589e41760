from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser

from access_tokens.conf import conf
from access_tokens.crypto import CHECKSUM_LENGTH, PREFIX_PATTERN, RANDOM_LENGTH

# In bits per character. Placeholders such as pat_xxxx… have less, and secrets have about 5.
ENTROPY: Final = 3.5

# In TOML, YAML and Python, nothing in these strings has a meaning of its own: a prefix has only
# letters, digits and underscores.
GITLEAKS: Final = """\
[[rules]]
id = "access-token-{prefix}"
description = "Access token of this site ({prefix}_…)"
regex = '''{regex}'''
secretGroup = 1
entropy = {entropy}
keywords = ["{prefix}_"]
"""
TRUFFLEHOG: Final = """\
  - name: access-token-{prefix}
    keywords:
      - {prefix}_
    regex:
      token: '{regex}'
    entropy: {entropy}
"""
DETECT_SECRETS: Final = '''\
"""The access tokens of this site, for detect-secrets."""

import re

from detect_secrets.plugins.base import RegexBasedDetector


class AccessTokenDetector(RegexBasedDetector):
    secret_type = "Access Token"
    denylist = [
{patterns}
    ]
'''


def regex(prefix: str) -> str:
    """Return the pattern of the secrets with a prefix, in the syntax that RE2 and Python share."""
    return rf"\b({prefix}_[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}})\b"


def rules(template: str, prefixes: list[str]) -> str:
    return "\n".join(
        template.format(prefix=prefix, regex=regex(prefix), entropy=ENTROPY) for prefix in prefixes
    )


def gitleaks(prefixes: list[str]) -> str:
    return rules(GITLEAKS, prefixes)


def trufflehog(prefixes: list[str]) -> str:
    return "detectors:\n" + rules(TRUFFLEHOG, prefixes)


def detect_secrets(prefixes: list[str]) -> str:
    patterns = (f'        re.compile(r"{regex(prefix)}"),' for prefix in prefixes)
    return DETECT_SECRETS.format(patterns="\n".join(patterns))


def plain(prefixes: list[str]) -> str:
    return "".join(f"{regex(prefix)}\n" for prefix in prefixes)


FORMATS: Final[dict[str, Callable[[list[str]], str]]] = {
    "gitleaks": gitleaks,
    "trufflehog": trufflehog,
    "detect-secrets": detect_secrets,
    "regex": plain,
}


def prefix(text: str) -> str:
    """Return the prefix that an option gives."""
    if not re.fullmatch(PREFIX_PATTERN, text):
        raise ArgumentTypeError(f"{text!r} can't be a prefix")
    return text


class Command(BaseCommand):
    help = "Print rules with which a secret scanner finds the access tokens of this site."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--format",
            choices=FORMATS,
            default="gitleaks",
            help="By default gitleaks, which Betterleaks and Kingfisher read too.",
        )
        parser.add_argument(
            "--prefix",
            nargs="+",
            type=prefix,
            metavar="P",
            help="The prefixes that the site uses or has used. By default ACCESS_TOKENS['PREFIX'].",
        )

    def handle(self, *, format: str, prefix: list[str] | None, **options: Any) -> None:
        prefixes = list(dict.fromkeys(prefix or [conf.PREFIX]))
        self.stdout.write(FORMATS[format](prefixes), ending="")
