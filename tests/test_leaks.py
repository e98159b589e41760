from __future__ import annotations

import gzip
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO, TextIOWrapper
from itertools import pairwise, product
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.dispatch import Signal
from django.utils import timezone
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

from access_tokens import leaks
from access_tokens.crypto import generate_secret
from access_tokens.exceptions import TokenRejected
from access_tokens.leaks import find_secrets, revoke_leaked
from access_tokens.limits import end_of_day
from access_tokens.models import Token
from access_tokens.signals import token_deleted, token_leaked, token_rejected

from .factories import KnownToken, TokenFactory, UserFactory
from .smtp import closed_port, mail_server, send_by

NOW = "2026-11-24 12:00:00Z"
DAY = timedelta(days=1)
SECRETS = [generate_secret(prefix) for prefix in ("pat", "a", "a2345678901234567890", "my_app")]

pytestmark = pytest.mark.django_db

Listen = Callable[[Signal], list[dict[str, Any]]]
Log = pytest.LogCaptureFixture
Output = pytest.CaptureFixture[str]


def works(secret: str) -> bool:
    """Return whether ``secret`` gives access."""
    try:
        return bool(Token.objects.verify(secret))
    except TokenRejected:
        return False


def found(*chunks: bytes) -> list[str]:
    return [str(secret) for secret in find_secrets(chunks)]


def shown_by(error: pytest.ExceptionInfo[BaseException]) -> str:
    """Return the local variables of all frames below the test, as error reports show them."""
    frames = []
    traceback = error.tb.tb_next
    while traceback:
        frames.append(repr(traceback.tb_frame.f_locals))
        traceback = traceback.tb_next
    assert frames
    return "\n".join(frames)


# Finding secrets.


@pytest.mark.parametrize(
    "hide",
    [
        str,
        lambda secret: json.dumps({"Authorization": f"Bearer {secret}"}),
        lambda secret: json.dumps(json.dumps(f"first line\n{secret}\tand\r{secret[:-1]}")),
        lambda secret: f"https://example.com/?{urlencode({'next': f'/?t={secret}&x=1'})}",
        lambda secret: f"https://example.com/{quote(f'é={secret}é')}",
        lambda secret: f"export TOKEN='{secret}'; curl -u user:{secret[:-2]}",
        lambda secret: f"“{secret}”",
        lambda secret: f"key_{secret}_key",
        lambda secret: f"{'x' * 60}{secret}{'x' * 60}",
        lambda secret: f"{'x' * 46}_{secret}_{'x' * 46}",
    ],
)
def test_secret_is_found_whatever_surrounds_it(hide: Callable[[str], str]) -> None:
    for secret, encoding in product(SECRETS, ["utf-8", "utf-16", "utf-16-be"]):
        text = hide(secret).encode(encoding)
        assert found(text) == [secret]
        assert found(b"\xff\0\xfe" + text + b"\xff\0\xc3") == [secret]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pat_",
        f"pat_{'x' * 46}",
        SECRETS[0][:-1],
        SECRETS[0][1:],
        SECRETS[0].swapcase(),
        SECRETS[0].replace("_", "-"),
        f"{SECRETS[0][:20]} {SECRETS[0][20:]}",
        "0f" * 20,  # of another package, or of git
    ],
    # Processes that run tests in parallel have different secrets.
    ids=["empty", "prefix", "x", "short", "cut", "swapped", "hyphen", "space", "hash"],
)
def test_what_only_resembles_a_secret_is_not_found(text: str) -> None:
    assert found(text.encode()) == []


@pytest.mark.parametrize("between", ["", "_", "\0", "pat_"])
def test_secrets_side_by_side_are_found(between: str) -> None:
    assert found(between.join(SECRETS).encode()) == SECRETS


@pytest.mark.parametrize("size", [1, 2, 3, 45, 46, 47, 48, 49, 50, 65, 66, 67, 68, 100])
def test_secret_that_is_split_is_found_once(size: int) -> None:
    text = f"--{'-'.join(SECRETS * 3)}--".encode()

    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    assert found(*chunks) == SECRETS * 3


@given(
    st.lists(st.binary(max_size=70) | st.sampled_from(SECRETS).map(str.encode)),
    st.lists(st.integers(0, 500), max_size=8),
)
def test_where_a_text_is_split_does_not_matter(parts: list[bytes], cuts: list[int]) -> None:
    text = b"".join(parts)
    borders = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    chunks = [text[start:end] for start, end in pairwise(borders)]

    assert found(*chunks) == found(text)
    assert {part.decode() for part in parts if part.decode("latin-1") in SECRETS} <= {*found(text)}


def test_text_that_cannot_be_read_on_reveals_no_secret() -> None:
    def broken() -> Iterator[bytes]:
        yield f"... {SECRETS[0]} {SECRETS[1]}".encode()
        raise OSError

    with pytest.raises(OSError) as error:  # noqa: PT011  # it says nothing
        list(find_secrets(broken()))
    assert not any(secret[10:20] in shown_by(error) for secret in SECRETS)


# Revoking them.


@contextmanager
def before(statement: str, action: Callable[[], object]) -> Iterator[None]:
    """Do ``action`` once before a statement that has these words is executed."""
    todo = [action]

    def execute_wrapper(execute: Any, sql: str, *args: Any) -> Any:
        if todo and statement in sql:
            todo.pop()()
        return execute(sql, *args)

    with connection.execute_wrapper(execute_wrapper):
        yield
    assert not todo


def fail() -> None:
    raise DatabaseError("The disk is full.")


def counts(result: leaks.Leaks) -> tuple[int, int, int, int]:
    return result.found, len(result.deleted), len(result.ended), len(result.failed)


def test_leaked_token_is_deleted(token: KnownToken, listen: Listen, caplog: Log) -> None:
    caplog.set_level(logging.INFO, "access_tokens")
    other = TokenFactory.create(user=token.user)
    leaked, deleted, rejected = map(listen, (token_leaked, token_deleted, token_rejected))

    result = revoke_leaked([token.secret, generate_secret("pat")])
    assert counts(result) == (2, 1, 0, 0)
    assert result.deleted == [token]
    assert not works(token.secret)
    assert works(other.secret)
    assert leaked == [{"sender": Token, "token": token}]
    assert leaked[0]["token"].by_previous_secret is False
    assert len(deleted) == 1
    # Only clients are refused.
    assert [each["token"] for each in rejected] == [None]
    assert ("WARNING", f"Token {token.pk} of user {token.user_id} leaked and was revoked.") in [
        (record.levelname, record.getMessage()) for record in caplog.records
    ]


def test_one_secret_needs_no_list(token: KnownToken) -> None:
    assert counts(revoke_leaked(token.secret)) == (1, 1, 0, 0)


@pytest.mark.parametrize("change", [{"expires_at": timezone.now()}, {"user": None}])
def test_token_is_deleted_even_if_it_gives_no_access_now(
    token: KnownToken, change: dict[str, Any]
) -> None:
    if "user" in change:
        User.objects.update(is_active=False)
    else:
        Token.objects.update(**change)

    assert counts(revoke_leaked([token.secret])) == (1, 1, 0, 0)
    User.objects.update(is_active=True)
    assert not works(token.secret)


def test_new_secret_of_a_rotated_token_works_if_the_old_one_leaks(
    token: KnownToken, listen: Listen, caplog: Log
) -> None:
    secret = Token.objects.rotate(token)
    leaked = listen(token_leaked)

    result = revoke_leaked([token.secret])
    assert counts(result) == (1, 0, 1, 0)
    assert not works(token.secret)
    assert works(secret)
    assert leaked == [{"sender": Token, "token": token}]
    assert leaked[0]["token"].by_previous_secret is True
    assert leaked[0]["token"].previous_works is False
    assert caplog.messages == [
        f"The old secret of token {token.pk} of user {token.user_id} leaked and was revoked."
    ]
    # It has ended.
    assert counts(revoke_leaked([token.secret])) == (1, 0, 0, 0)


def test_rotated_token_is_deleted_if_its_new_secret_leaks(token: KnownToken) -> None:
    secret = Token.objects.rotate(token)

    assert counts(revoke_leaked([token.secret, secret])) == (2, 1, 0, 0)
    assert not works(token.secret)
    assert not works(secret)


def test_old_secret_is_ended_even_if_rotation_is_off_now(
    token: KnownToken, settings: Settings
) -> None:
    Token.objects.rotate(token)
    settings.ACCESS_TOKENS = {"ROTATION_OVERLAP": None}

    assert counts(revoke_leaked([token.secret])) == (1, 0, 1, 0)
    del settings.ACCESS_TOKENS
    assert not works(token.secret)


def test_token_that_is_rotated_meanwhile_keeps_its_new_secret(token: KnownToken) -> None:
    new: list[str] = []

    def rotate() -> None:
        new.append(Token.objects.rotate(Token.objects.get()))

    with before("SAVEPOINT", rotate):
        result = revoke_leaked([token.secret])
    assert counts(result) == (1, 0, 1, 0)
    assert result.ended[0].previous_partial == token.partial
    assert not works(token.secret)
    assert works(new[0])


def test_token_that_is_deleted_meanwhile_is_not_reported(token: KnownToken, listen: Listen) -> None:
    leaked = listen(token_leaked)

    with before("SAVEPOINT", Token.objects.all().delete):
        assert counts(revoke_leaked([token.secret])) == (1, 0, 0, 0)
    assert leaked == []


def test_each_secret_counts_once(user: User, listen: Listen) -> None:
    leaked = listen(token_leaked)
    secrets = [TokenFactory.create(user=user).secret for _ in range(3)]
    unknown = [generate_secret("pat") for _ in range(700)]

    assert counts(revoke_leaked([*secrets, *unknown] * 2)) == (703, 3, 0, 0)
    assert len(leaked) == 3


def test_memory_for_different_secrets_is_limited(
    token: KnownToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaks, "MEMORY", 2)
    secrets = [token.secret, *(generate_secret("pat") for _ in range(5))]

    # Two are remembered, so the others count again.
    assert counts(revoke_leaked([*secrets, *secrets])) == (12, 1, 0, 0)


def test_unknown_secrets_cost_few_queries(
    db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    secrets = [generate_secret("pat") for _ in range(1000)]

    with django_assert_num_queries(4):
        assert counts(revoke_leaked(secrets)) == (1000, 0, 0, 0)


@pytest.mark.parametrize("nonsense", [None, 1, b"pat_", [], "", "pat_", "\ud800", "x" * 10_000])
def test_what_is_no_secret_is_ignored(
    token: KnownToken, nonsense: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        assert counts(revoke_leaked([nonsense])) == (0, 0, 0, 0)
    assert counts(revoke_leaked([nonsense, token.secret])) == (1, 1, 0, 0)


def test_dry_run_changes_nothing(
    token: KnownToken,
    listen: Listen,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    rotated = TokenFactory.create(user=token.user)
    Token.objects.rotate(rotated)
    before = list(Token.objects.values())
    leaked = listen(token_leaked)

    with django_capture_on_commit_callbacks() as callbacks:
        result = revoke_leaked([token.secret, rotated.secret], dry_run=True)
    assert (result.deleted, result.ended) == ([token], [rotated])
    assert list(Token.objects.values()) == before
    assert leaked == []
    assert callbacks == []


def test_token_that_cannot_be_deleted_does_not_save_the_others(
    user: User, listen: Listen, caplog: Log
) -> None:
    tokens = [TokenFactory.create(user=user) for _ in range(3)]
    leaked = listen(token_leaked)

    with before("DELETE", fail):
        result = revoke_leaked([token.secret for token in tokens])
    (failed,) = result.failed
    assert counts(result) == (3, 2, 0, 1)
    assert [token for token in tokens if works(token.secret)] == [failed]
    assert failed not in [each["token"] for each in leaked]
    assert caplog.messages[0] == (
        f"Token {failed.pk} of user {user.pk} leaked and couldn't be revoked: DatabaseError."
    )
    assert caplog.records[0].levelname == "ERROR"


def test_failing_receiver_does_not_stop_the_others(
    user: User, fail_on: Callable[[Signal], None]
) -> None:
    fail_on(token_leaked)
    secrets = [TokenFactory.create(user=user).secret for _ in range(2)]

    assert counts(revoke_leaked(secrets)) == (2, 2, 0, 0)


def test_failing_database_reveals_no_secret(token: KnownToken) -> None:
    with before("SELECT", fail), pytest.raises(DatabaseError) as error:
        revoke_leaked(find_secrets([token.secret.encode()]))
    assert token.secret[10:20] not in shown_by(error)

    # A plain string, whose repr isn't masked.
    with before("SELECT", fail), pytest.raises(DatabaseError) as error:
        revoke_leaked([str(token.secret)])
    assert token.secret[10:20] not in shown_by(error)


# The email to the owner.

LEAKED = """\
Hello ada,

This access token was found where others can read it, so it was revoked. Scripts and applications that still use it no longer work.

    CI pipeline
    {}
    Expires: Nov. 27, 2026, 11:59 p.m. UTC
    Last used: Nov. 20, 2026, noon UTC

Someone else may have used the API as you, so check what was done. For what still needs access, create a new token on the page “Access Tokens”.
"""
ALL_LEAKED = """\
Hello ada,

These access tokens were found where others can read them, so they were revoked. Scripts and applications that still use them no longer work.

    CI pipeline
    {}
    Expires: Nov. 27, 2026, 11:59 p.m. UTC
    Last used: Nov. 20, 2026, noon UTC

    <b>R&D</b>
    {}
    This is the old token from before the rotation. The new one still works.
    No expiration

Someone else may have used the API as you, so check what was done. For what still needs access, create a new token on the page “Access Tokens”.
"""


@pytest.fixture
def pipeline(db: None) -> Iterator[KnownToken]:
    with time_machine.travel(NOW, tick=False):
        yield TokenFactory.create(
            user=UserFactory.create(username="ada", email="ada@example.com"),
            name="CI pipeline",
            expires_at=end_of_day(3),
            last_used_at=timezone.now() - 4 * DAY,
        )


def test_owner_is_told_after_the_commit(
    pipeline: KnownToken, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        revoke_leaked([pipeline.secret])
        assert mail.outbox == []

    (email,) = mail.outbox
    assert email.to == ["ada@example.com"]
    assert email.subject == "Your access token “CI pipeline” leaked"
    assert email.body == LEAKED.format(pipeline.partial)


def test_owner_gets_one_email_about_all_tokens(
    pipeline: KnownToken, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    rotated = TokenFactory.create(user=pipeline.user, name="<b>R&D</b>")
    partial = rotated.partial
    Token.objects.rotate(rotated)
    other = TokenFactory.create(user=UserFactory.create(email="bob@example.com"))

    with django_capture_on_commit_callbacks(execute=True):
        revoke_leaked([rotated.secret, other.secret, pipeline.secret])
    ada, bob = sorted(mail.outbox, key=lambda email: email.to)
    assert ada.subject == "Your access token “CI pipeline” and others leaked"
    assert ada.body == ALL_LEAKED.format(pipeline.partial, partial)
    assert bob.to == ["bob@example.com"]


def test_email_is_not_in_the_language_of_the_reporter(
    pipeline: KnownToken, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with override("ja"), django_capture_on_commit_callbacks(execute=True):
        revoke_leaked([pipeline.secret])

    assert mail.outbox[0].body == LEAKED.format(pipeline.partial)


@pytest.mark.parametrize("change", [{"is_active": False}, {"email": ""}])
def test_user_who_is_inactive_or_has_no_address_gets_no_email(
    pipeline: KnownToken,
    change: dict[str, Any],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    User.objects.update(**change)

    with django_capture_on_commit_callbacks(execute=True):
        assert counts(revoke_leaked([pipeline.secret])) == (1, 1, 0, 0)
    assert mail.outbox == []


@pytest.mark.django_db(transaction=True)
def test_email_that_cannot_be_sent_fails_nothing(
    pipeline: KnownToken, settings: Settings, caplog: Log
) -> None:
    send_by(settings, closed_port())

    assert counts(revoke_leaked([pipeline.secret])) == (1, 1, 0, 0)
    assert caplog.messages[-1] == (
        f"The email 'leaked' was not sent to user {pipeline.user_id}: ConnectionRefusedError."
    )


@pytest.mark.django_db(transaction=True)
def test_owner_is_told_even_if_the_rest_cannot_be_read(
    pipeline: KnownToken, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Iterator[str]:
        yield pipeline.secret
        raise OSError

    monkeypatch.setattr(leaks, "CHUNK_SIZE", 1)
    with mail_server(settings) as server, pytest.raises(OSError):  # noqa: PT011  # it says nothing
        revoke_leaked(broken())
    assert [message["To"] for message in server.messages] == ["ada@example.com"]
    assert not works(pipeline.secret)


@pytest.mark.django_db(transaction=True)
def test_nobody_is_told_of_what_was_rolled_back(pipeline: KnownToken) -> None:
    with transaction.atomic():
        revoke_leaked([pipeline.secret])
        transaction.set_rollback(True)

    assert mail.outbox == []
    assert works(pipeline.secret)


def test_nothing_keeps_a_secret(
    pipeline: KnownToken,
    settings: Settings,
    listen: Listen,
    caplog: Log,
    capsys: Output,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    settings.DEBUG = True  # logs all queries
    caplog.set_level(logging.DEBUG)
    leaked = listen(token_leaked)
    unknown = generate_secret("pat")
    rotated = TokenFactory.create(user=pipeline.user)
    Token.objects.rotate(rotated)
    secrets = [unknown, pipeline.secret, rotated.secret]

    with django_capture_on_commit_callbacks(execute=True):
        run(monkeypatch, " ".join(secrets).encode())
    kept = [capsys.readouterr(), caplog.text, mail.outbox[0].message()]
    kept += [vars(each["token"]) for each in leaked]
    assert len(leaked) == 2
    assert pipeline.partial in str(kept)
    for secret in secrets:
        assert secret[8:20] not in str(kept)


# revoke_leaked_access_tokens


class Terminal(TextIOWrapper):
    def isatty(self) -> bool:
        return True


def run(
    monkeypatch: pytest.MonkeyPatch,
    text: bytes,
    *options: str,
    stdin: type[TextIOWrapper] = TextIOWrapper,
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin(BytesIO(text)))
    call_command("revoke_leaked_access_tokens", *options)


def test_command_says_what_it_did(
    pipeline: KnownToken, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    rotated = TokenFactory.create(user=pipeline.user, name="rotated")
    partial = rotated.partial
    Token.objects.rotate(rotated)
    secrets = [pipeline.secret, rotated.secret, generate_secret("other"), pipeline.secret]
    text = b"\xff\xfe\0" + "\n".join(secrets).encode() + b"\xc3"

    run(monkeypatch, text, "--dry-run")
    assert capsys.readouterr().out == (
        f"Would delete ada: CI pipeline ({pipeline.partial})\n"
        f"Would end the old secret of ada: rotated ({partial})\n"
        "Secrets found: 3\n"
        "Tokens to delete: 1\n"
        "Old secrets to end: 1\n"
        "Secrets that give no access: 1\n"
    )
    assert works(pipeline.secret)
    assert works(rotated.secret)
    run(monkeypatch, text)
    assert capsys.readouterr().out == (
        f"Deleted ada: CI pipeline ({pipeline.partial})\n"
        f"Ended the old secret of ada: rotated ({partial})\n"
        "Secrets found: 3\n"
        "Tokens deleted: 1\n"
        "Old secrets ended: 1\n"
        "Secrets that give no access: 1\n"
    )
    assert not works(pipeline.secret)
    assert not works(rotated.secret)


def test_command_finds_what_is_split_over_blocks(
    pipeline: KnownToken, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    run(monkeypatch, b"x" * (1_048_576 - 20) + pipeline.secret.encode() + b"x" * 1_048_576)

    assert "Tokens deleted: 1\n" in capsys.readouterr().out


def test_command_reads_from_a_pipe(
    pipeline: KnownToken, monkeypatch: pytest.MonkeyPatch, capsys: Output, tmp_path: Path
) -> None:
    log = tmp_path / "access.log.gz"
    lines = b"".join(b"%d GET /api/ 200\n" % number for number in range(100_000))
    log.write_bytes(gzip.compress(lines + pipeline.secret.encode() + lines))

    with subprocess.Popen(["zcat", log], stdout=subprocess.PIPE) as process:  # noqa: S603, S607
        assert process.stdout
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(process.stdout))
        call_command("revoke_leaked_access_tokens")
    assert "Tokens deleted: 1\n" in capsys.readouterr().out


def test_command_fails_if_a_token_still_works(
    pipeline: KnownToken, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    with before("DELETE", fail), pytest.raises(CommandError, match=r"still work: 1\. The log"):
        run(monkeypatch, pipeline.secret.encode())
    assert "Tokens deleted: 0\n" in capsys.readouterr().out


def test_command_says_on_a_terminal_how_to_end_the_text(
    db: None, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    run(monkeypatch, b"", stdin=Terminal)

    assert capsys.readouterr() == (
        "Secrets found: 0\nTokens deleted: 0\nOld secrets ended: 0\n"
        "Secrets that give no access: 0\n",
        "Paste the text, then press Enter and Ctrl+D.\n",
    )
