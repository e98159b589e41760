"""The rules for secret scanners, also by the scanners themselves, if they are installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable
from hashlib import sha1
from math import log2
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from access_tokens.crypto import generate_secret
from access_tokens.management.commands.access_token_scanner_rules import ENTROPY, FORMATS

PREFIXES = ["pat", "my_app", "acme_internal_api_v2"]
SECRETS = [generate_secret(prefix) for prefix in PREFIXES]

Output = pytest.CaptureFixture[str]
Rules = Callable[..., str]


@pytest.fixture
def rules(capsys: Output) -> Rules:
    """Return a function that returns what the command prints."""

    def print_rules(*arguments: str) -> str:
        call_command("access_token_scanner_rules", *arguments)
        return capsys.readouterr().out

    return print_rules


def patterns(name: str, text: str) -> list[str]:
    """Return the patterns in the rules of a format, read as the scanner reads them."""
    if name == "gitleaks":
        return [rule["regex"] for rule in tomllib.loads(text)["rules"]]
    if name == "trufflehog":
        return re.findall(r"^      token: '(.+)'$", text, re.MULTILINE)
    if name == "detect-secrets":
        return re.findall(r'^        re\.compile\(r"(.+)"\),$', text, re.MULTILINE)
    return text.splitlines()


each_format = pytest.mark.parametrize("name", FORMATS)


# The rules.


@each_format
def test_there_is_a_rule_for_each_prefix(rules: Rules, name: str) -> None:
    for secret, pattern in zip(
        SECRETS, patterns(name, rules("--format", name, "--prefix", *PREFIXES)), strict=True
    ):
        match = re.search(pattern, f'{{"token": "{secret}"}}')
        assert match
        assert match[1] == secret
        for other in [secret[:-1], f"{secret}x", f"x{secret}", *({*SECRETS} - {secret})]:
            assert not re.search(pattern, f'{{"token": "{other}"}}')


@each_format
def test_prefix_of_the_site_is_the_default(rules: Rules, settings: Settings, name: str) -> None:
    settings.ACCESS_TOKENS = {"PREFIX": "my_app"}

    assert rules("--format", name) == rules("--format", name, "--prefix", "my_app", "my_app")
    assert len(patterns(name, rules("--format", name))) == 1


def test_gitleaks_is_the_default(rules: Rules) -> None:
    assert rules() == rules("--format", "gitleaks", "--prefix", "pat")


@pytest.mark.parametrize("prefix", ["", "PAT", "9a", "a b", "a'", '"', "a\n", ".*", "a" * 21])
def test_what_cannot_be_a_prefix_is_refused(rules: Rules, prefix: str) -> None:
    with pytest.raises(CommandError, match="can't be a prefix"):
        rules("--prefix", prefix)


def test_secrets_have_enough_entropy_and_placeholders_have_not() -> None:
    # The same letter twenty times is the prefix with the least.
    assert all(entropy(generate_secret("a" * 20)) > ENTROPY for _ in range(1_000))
    assert entropy(f"pat_{'x' * 46}") < ENTROPY


def entropy(text: str) -> float:
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * log2(share) for share in shares)


# The scanners.


def run(tool: str, *arguments: str | Path, home: Path) -> Any:
    """Return the JSON that a scanner prints, or skip the test if it isn't installed."""
    path = Path(sys.executable).with_name(tool)
    if not path.exists():
        stop = pytest.fail if os.environ.get("REQUIRE_SCANNERS") else pytest.skip
        stop(f"{tool} is not installed. Run: make test-scanners")
    # With a home of its own, it has no configuration and leaves nothing behind.
    env = {"HOME": str(home), "PATH": os.environ["PATH"]}
    result = subprocess.run(  # noqa: S603
        [path, *arguments], capture_output=True, text=True, env=env, cwd=home, check=False
    )
    assert result.stdout, result.stderr
    # Kingfisher prints a summary after it.
    return json.JSONDecoder().raw_decode(result.stdout)[0]


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """Return a directory with files that hold secrets, and what only resembles them."""
    directory = tmp_path / "leaky"
    directory.mkdir()
    first, second, third = SECRETS
    texts = {
        "call.sh": f'curl -H "Authorization: Bearer {first}" https://example.com/',
        "site.env": f"DEBUG=1\nAPI_TOKEN={second}\n",
        "log.json": json.dumps({"path": f"/api/?token={third}&page=2", "status": 200}),
        "code.py": f"TOKEN = {str(first)!r}\nOTHER = '{first[:-1]}'\n",
        "none.txt": f"{second}x\nother_{first[4:]}\npat_\n{'0f' * 20}\n",
    }
    for name, text in texts.items():
        (directory / name).write_text(text)
    return directory


EXPECTED = [
    ("call.sh", SECRETS[0]),
    ("code.py", SECRETS[0]),
    ("log.json", SECRETS[2]),
    ("site.env", SECRETS[1]),
]


@pytest.mark.parametrize("start", ["", "[extend]\nuseDefault = true\n\n"])
def test_gitleaks_finds_the_secrets(rules: Rules, leaky: Path, tmp_path: Path, start: str) -> None:
    config = tmp_path / "gitleaks.toml"
    config.write_text(start + rules("--prefix", *PREFIXES))

    options: list[str | Path] = ["--config", config, "--report-format=json", "--report-path=-"]
    findings = [
        (Path(each["File"]).name, each["Secret"])
        for each in run("gitleaks", "dir", leaky, *options, home=tmp_path)
        if each["RuleID"] in {f"access-token-{prefix}" for prefix in PREFIXES}
    ]
    assert sorted(findings) == EXPECTED


def test_kingfisher_finds_the_secrets_by_the_rules_of_gitleaks(
    rules: Rules, leaky: Path, tmp_path: Path
) -> None:
    config = tmp_path / "gitleaks.toml"
    config.write_text(rules("--prefix", *PREFIXES))

    offline = ["--load-builtins=false", "--no-validate", "--no-update-check"]
    options: list[str | Path] = ["--rules-path", config, "--format=json", "--no-dedup", *offline]
    result = run("kingfisher", "scan", leaky, *options, home=tmp_path)
    findings = [each["finding"] for each in result["findings"]]
    assert sorted((Path(each["path"]).name, each["snippet"]) for each in findings) == EXPECTED


def test_detect_secrets_finds_the_secrets(rules: Rules, leaky: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "access_tokens_plugin.py"
    plugin.write_text(rules("--format", "detect-secrets", "--prefix", *PREFIXES))

    options: list[str | Path] = ["--plugin", plugin, "--all-files", "--no-verify"]
    results = run("detect-secrets", "scan", *options, leaky, home=tmp_path)["results"]
    findings = [
        (Path(path).name, each["hashed_secret"])
        for path, found in results.items()
        for each in found
        if each["type"] == "Access Token"
    ]
    digests = [(path, sha1(secret.encode()).hexdigest()) for path, secret in EXPECTED]  # noqa: S324  # of detect-secrets
    assert sorted(findings) == digests


def test_trufflehog_rules_are_yaml(rules: Rules) -> None:
    yaml = pytest.importorskip("yaml")

    text = rules("--format", "trufflehog", "--prefix", *PREFIXES)
    assert yaml.safe_load(text) == {
        "detectors": [
            {
                "name": f"access-token-{prefix}",
                "keywords": [f"{prefix}_"],
                "regex": {"token": pattern},
                "entropy": ENTROPY,
            }
            for prefix, pattern in zip(PREFIXES, patterns("trufflehog", text), strict=True)
        ]
    }
