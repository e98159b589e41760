from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import mail
from django.db import transaction
from django.utils import timezone
from django.utils.translation import override
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from access_tokens import emails
from access_tokens.emails import send_expiry_emails
from access_tokens.limits import end_of_day
from access_tokens.models import Token

from .factories import KnownToken, TokenFactory, UserFactory
from .smtp import MailServer, closed_port, mail_server, send_by

NOW = "2026-11-24 12:00:00Z"
DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def server(settings: Settings) -> Iterator[MailServer]:
    with mail_server(settings) as server:
        yield server


@pytest.fixture
def user(db: None) -> User:
    return UserFactory.create(username="ada", email="ada@example.com")


def expiring(user: User, **kwargs: Any) -> KnownToken:
    """Return a token of ``user`` that expires within so much time."""
    return TokenFactory.create(user=user, expires_at=timezone.now() + timedelta(**kwargs))


def notices() -> list[int | None]:
    return list(Token.objects.order_by("pk").values_list("expiry_notice", flat=True))


# Tokens that expire soon.


@pytest.mark.parametrize(
    ("time", "notice"),
    [
        (-INSTANT, None),
        (timedelta(0), None),
        (INSTANT, 1),
        (DAY, 1),
        (DAY + INSTANT, 7),
        (7 * DAY, 7),
        (7 * DAY + INSTANT, None),
    ],
)
def test_token_is_announced_within_7_days_and_within_1(
    user: User, time: timedelta, notice: int | None
) -> None:
    TokenFactory.create(user=user, expires_at=timezone.now() + time)

    assert send_expiry_emails() == (1 if notice else 0, 0)
    assert len(mail.outbox) == (1 if notice else 0)
    assert notices() == [notice]


def test_token_that_never_expires_is_not_announced(user: User) -> None:
    TokenFactory.create(user=user)

    assert send_expiry_emails() == (0, 0)


def test_token_is_announced_once_for_each_number_of_days(user: User) -> None:
    expiring(user, days=10)
    sent = []
    with time_machine.travel(NOW, tick=False) as traveller:
        for _hour in range(11 * 24):
            sent.append(send_expiry_emails()[0])
            traveller.shift(timedelta(hours=1))

    assert [hour / 24 for hour, count in enumerate(sent) if count] == [3, 9]
    assert sum(sent) == 2


def test_site_chooses_the_days(user: User) -> None:
    expiring(user, days=20)

    assert send_expiry_emails([30]) == (1, 0)
    assert send_expiry_emails([60, 30, 7]) == (0, 0)
    assert send_expiry_emails([20]) == (1, 0)
    assert notices() == [20]


def test_user_gets_one_email_a_run(user: User) -> None:
    other = UserFactory.create(email="bob@example.com")
    for days in [5, 1, 9, 3]:
        expiring(user, days=days)
        expiring(other, days=days)

    assert send_expiry_emails() == (2, 0)
    assert [email.to for email in mail.outbox] == [["ada@example.com"], ["bob@example.com"]]
    assert notices() == [7, 7, 1, 1, None, None, 7, 7]
    names = Token.objects.filter(user=user).order_by("expires_at").values_list("name", flat=True)
    places = [str(mail.outbox[0].body).find(f" {name}\n") for name in names]
    assert -1 not in places[:3]
    assert places[:3] == sorted(places[:3])
    assert places[3] == -1


@pytest.mark.parametrize("change", [{"is_active": False}, {"email": ""}])
def test_user_who_is_inactive_or_has_no_address_gets_none(
    user: User, change: dict[str, Any]
) -> None:
    expiring(user, days=3)
    User.objects.update(**change)

    assert send_expiry_emails() == (0, 0)
    assert mail.outbox == []
    # A user who comes back is told.
    User.objects.update(is_active=True, email="ada@example.com")
    assert send_expiry_emails() == (1, 0)


def test_rotated_token_is_announced_again(user: User) -> None:
    token = expiring(user, days=3)
    send_expiry_emails()

    Token.objects.rotate(token, expires_at=timezone.now() + 2 * DAY)
    assert send_expiry_emails() == (1, 0)


def test_token_that_another_host_announces_meanwhile_is_left_to_it(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    expiring(user, days=3)
    seen_before = list(emails.expiring_tokens())
    send_expiry_emails()
    monkeypatch.setattr(emails, "expiring_tokens", lambda days: seen_before)

    assert send_expiry_emails() == (0, 0)


def test_token_that_is_rotated_meanwhile_is_not_announced(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = expiring(user, days=3)
    seen_before = list(emails.expiring_tokens())
    Token.objects.rotate(token, expires_at=timezone.now() + 90 * DAY)
    monkeypatch.setattr(emails, "expiring_tokens", lambda days: seen_before)

    assert send_expiry_emails() == (0, 0)
    assert notices() == [None]


def test_claim_must_be_committed_before_the_email_is_sent(user: User) -> None:
    expiring(user, days=3)

    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        send_expiry_emails()
    assert mail.outbox == []


# A mail server that fails.


def test_email_that_cannot_be_sent_is_tried_again(
    user: User, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    token = expiring(user, days=3)
    Token.objects.filter(pk=expiring(user, hours=1).pk).update(expiry_notice=7)
    send_by(settings, closed_port())
    caplog.clear()

    assert send_expiry_emails() == (0, 1)
    assert notices() == [None, 7]
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "access_tokens",
            "WARNING",
            f"The email 'expiry' was not sent to user {user.pk}: ConnectionRefusedError.",
        )
    ]
    with mail_server(settings) as server:
        assert send_expiry_emails() == (1, 0)
    assert token.name in server.messages[0].get_content()


def test_refused_address_does_not_stop_the_others(user: User, server: MailServer) -> None:
    users = [user, *(UserFactory.create(email=f"{name}@example.com") for name in ["bob", "cy"])]
    for each in users:
        expiring(each, days=3)
    server.refused = "bob@example.com"

    assert send_expiry_emails() == (2, 1)
    assert [message["To"] for message in server.messages] == ["ada@example.com", "cy@example.com"]
    assert notices() == [7, None, 7]


def test_claim_of_a_token_that_was_rotated_meanwhile_is_not_given_back(user: User) -> None:
    token = expiring(user, days=3)
    claimed = emails.claim({token: 7})
    # What a rotation, and another host after it, may do.
    Token.objects.update(expires_at=timezone.now() + 5 * DAY, expiry_notice=7)

    emails.give_back(claimed)
    assert notices() == [7]


def test_claims_are_given_back_when_the_run_is_stopped(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: Any) -> None:
        assert notices() == [7]
        raise KeyboardInterrupt

    expiring(user, days=3)
    monkeypatch.setattr(emails, "send_email", stop)

    with pytest.raises(KeyboardInterrupt):
        send_expiry_emails()
    assert notices() == [None]


# A token that was created.


@pytest.fixture
def on_creation(settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"EMAIL_ON_CREATION": True}


@pytest.mark.usefixtures("on_creation")
def test_owner_of_a_new_token_is_told_after_the_commit(
    user: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        TokenFactory.create(user=user)
        assert mail.outbox == []

    (email,) = mail.outbox
    assert (email.to, email.subject) == (
        ["ada@example.com"],
        "A new access token was created for your account",
    )


@pytest.mark.usefixtures("on_creation")
@pytest.mark.django_db(transaction=True)
def test_nobody_is_told_of_a_token_that_was_rolled_back(user: User) -> None:
    with transaction.atomic():
        TokenFactory.create(user=user)
        transaction.set_rollback(True)

    assert mail.outbox == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("on_creation")
def test_email_that_fails_does_not_fail_the_creation(
    user: User, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    send_by(settings, closed_port())

    token = TokenFactory.create(user=user)
    assert Token.objects.get() == token
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"The email 'created' was not sent to user {user.pk}: ConnectionRefusedError."
    ]


@pytest.mark.parametrize(
    ("configured", "email"), [({}, "ada@example.com"), ({"EMAIL_ON_CREATION": True}, "")]
)
def test_nobody_is_told_unless_the_site_and_an_address_allow_it(
    user: User,
    settings: Settings,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    configured: dict[str, Any],
    email: str,
) -> None:
    settings.ACCESS_TOKENS = configured
    user.email = email

    with django_capture_on_commit_callbacks() as callbacks:
        TokenFactory.create(user=user)
    assert callbacks == []


# The texts.

EXPIRY = """\
Hello ada,

This access token expires soon. Scripts and applications that still use it will stop working then.

    CI pipeline
    {partial}
    Expires: Nov. 27, 2026, 11:59 p.m. UTC
    Last used: Nov. 20, 2026, noon UTC

If you still need it, replace it in time on the page “Access Tokens”. If not, you don’t need to do anything.
"""
EXPIRIES = """\
Hello ada,

These access tokens expire soon. Scripts and applications that still use them will stop working then.

    CI pipeline
    {}
    Expires: Nov. 27, 2026, 11:59 p.m. UTC
    Last used: Nov. 20, 2026, noon UTC

    <b>R&D</b>
    {}
    Scopes: read reports
    Expires: Nov. 30, 2026, 11:59 p.m. UTC

Replace those that you still need in time on the page “Access Tokens”. You don’t need to do anything about the others.
"""
CREATED = """\
Hello ada,

A new access token was created for your account. Anyone who has it can use the API as you.

    CI pipeline
    {partial}
    No expiration

If you don’t recognize it, delete it on the page “Access Tokens” and change your password.
"""


@pytest.fixture
def pipeline(user: User) -> KnownToken:
    return TokenFactory.create(
        user=user,
        name="CI pipeline",
        expires_at=end_of_day(3),
        last_used_at=timezone.now() - 4 * DAY,
    )


def test_text_for_one_token(pipeline: KnownToken) -> None:
    send_expiry_emails()

    assert mail.outbox[0].subject == "Your access token “CI pipeline” expires soon"
    assert mail.outbox[0].body == EXPIRY.format(partial=pipeline.partial)


def test_text_for_several_tokens(pipeline: KnownToken, user: User, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": dict.fromkeys(["read", "write", "reports"], "Label")}
    other, _ = user.access_tokens.create_token(
        name="<b>R&D</b>", expires_at=end_of_day(6), scopes=["read", "reports"]
    )
    send_expiry_emails()

    assert mail.outbox[0].subject == "Your access token “CI pipeline” and others expire soon"
    assert mail.outbox[0].body == EXPIRIES.format(pipeline.partial, other.partial)


@pytest.mark.usefixtures("on_creation")
def test_text_for_a_new_token(
    user: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        token = TokenFactory.create(user=user, name="CI pipeline")

    assert mail.outbox[0].body == CREATED.format(partial=token.partial)


def test_email_holds_no_secret_and_no_digest(
    settings: Settings,
    user: User,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    settings.ACCESS_TOKENS = {"EMAIL_ON_CREATION": True}
    with django_capture_on_commit_callbacks(execute=True):
        token = expiring(user, days=3)
    send_expiry_emails()

    digest = Token.objects.values_list("digest", flat=True).get().partition("$")[2]
    created, expiry = (email.message().as_string() for email in mail.outbox)
    for text in [created, expiry]:
        assert token.partial.partition("…")[2] in text
        assert token.secret[8:-4] not in text
        assert digest not in text
        assert "http" not in text


@pytest.mark.parametrize(
    ("language", "subject"),
    [
        ("ar", "ستنتهي صلاحية رمز الوصول «CI pipeline» قريبًا"),
        ("de", "Ihr Zugriffstoken „CI pipeline“ läuft bald ab"),
        ("pt-br", "Seu token de acesso “CI pipeline” expira em breve"),
        ("xx", "Your access token “CI pipeline” expires soon"),
        ("", "Votre jeton d’accès « CI pipeline » expire bientôt"),
    ],
)
def test_email_is_in_the_language_of_the_user_or_else_the_active_one(
    pipeline: KnownToken, monkeypatch: pytest.MonkeyPatch, language: str, subject: str
) -> None:
    monkeypatch.setattr(User, "language", language, raising=False)

    with override("fr"):
        send_expiry_emails()
    assert mail.outbox[0].subject.replace("\xa0", " ") == subject


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("use_tz", [True, False])
def test_expiration_is_in_the_time_zone_of_the_site(
    user: User, settings: Settings, use_tz: bool, zone: str
) -> None:
    settings.USE_TZ = use_tz
    settings.TIME_ZONE = zone
    TokenFactory.create(user=user, expires_at=end_of_day(3))
    send_expiry_emails()

    assert f"Expires: Nov. 27, 2026, 11:59 p.m. {'UTC' if zone == 'UTC' else 'CET'}\n" in str(
        mail.outbox[0].body
    )


@pytest.fixture
def templates(tmp_path: Path, settings: Settings) -> Path:
    """A directory for the templates of a site."""
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    directory = tmp_path / "access_tokens/email"
    directory.mkdir(parents=True)
    return directory


def test_site_may_add_a_link(pipeline: KnownToken, templates: Path) -> None:
    templates.joinpath("expiry.txt").write_text(
        '{% extends "access_tokens/email/expiry.txt" %}'
        "{% block footer %}\n\nhttps://example.com/?a=1&b=2{% endblock %}"
    )
    send_expiry_emails()

    expected = EXPIRY.format(partial=pipeline.partial)
    assert mail.outbox[0].body == f"{expected}\nhttps://example.com/?a=1&b=2\n"


def test_site_may_add_html(pipeline: KnownToken, templates: Path) -> None:
    templates.joinpath("expiry.html").write_text("<p>{{ user }}: {{ tokens.0 }}</p>")
    send_expiry_emails()

    email: Any = mail.outbox[0]
    assert [tuple(alternative) for alternative in email.alternatives] == [
        ("<p>ada: CI pipeline</p>", "text/html")
    ]


def test_subject_is_one_line(pipeline: KnownToken, templates: Path) -> None:
    templates.joinpath("expiry_subject.txt").write_text("\nSoon\n")
    send_expiry_emails()

    assert mail.outbox[0].subject == "Soon"
