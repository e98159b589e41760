import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from inspect import iscoroutinefunction
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import FieldError, ValidationError
from django.core.management import call_command
from django.db import (
    DatabaseError,
    IntegrityError,
    OperationalError,
    connection,
    connections,
    transaction,
)
from django.dispatch import Signal
from django.forms import modelform_factory
from django.forms.models import model_to_dict
from django.test import RequestFactory
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from access_tokens import crypto
from access_tokens.exceptions import Reason, TokenRejected
from access_tokens.limits import end_of_day
from access_tokens.models import Token
from access_tokens.signals import token_created, token_deleted, token_rejected

from .factories import KnownToken, TokenFactory, UserFactory
from .golden import GOLDEN_SECRETS, Golden
from .routers import ReplicaRouter

Listen = Callable[[Signal], list[dict[str, Any]]]
FailOn = Callable[[Signal], None]

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)
SECRET = GOLDEN_SECRETS[0]["secret"]

pytestmark = pytest.mark.django_db

at_now = time_machine.travel(NOW, tick=False)


def reason_of(secret: str) -> Reason:
    with pytest.raises(TokenRejected) as raised:
        Token.objects.verify(secret)
    return raised.value.reason


def code_of(field: str, **kwargs: Any) -> str | None:
    """Return the code of the only error of ``create_token``, which is one of ``field``."""
    with pytest.raises(ValidationError) as raised:
        Token.objects.create_token(**kwargs)
    assert list(raised.value.error_dict) == [field]
    (error,) = raised.value.error_dict[field]
    return error.code


# Create


@at_now
def test_created_token_is_stored_with_what_is_known_of_its_secret(user: User) -> None:
    token, secret = Token.objects.create_token(user=user, name=" laptop ")

    assert Token.objects.values().get() == {
        "id": token.pk,
        "user_id": user.pk,
        "name": "laptop",
        "digest": crypto.digest_secret(secret),
        "partial": crypto.partial(secret),
        "scopes": None,
        "created_at": NOW,
        "last_used_at": None,
        "expires_at": None,
        "expiry_notice": None,
        "rotated_at": None,
        "previous_digest": None,
        "previous_partial": "",
        "previous_expires_at": None,
        "previous_ends_at": None,
    }
    assert token.user is user


def test_created_secret_is_masked_and_of_the_configured_prefix(
    user: User, settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"PREFIX": "acme"}

    token, secret = Token.objects.create_token(user=user, name="laptop")

    assert isinstance(secret, crypto.Secret)
    assert secret.startswith("acme_")
    assert token.partial.startswith("acme_")


def test_creating_is_one_statement(
    user: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(3) as queries:  # SAVEPOINT, INSERT, RELEASE
        Token.objects.create_token(user=user, name="laptop")

    assert [query["sql"].split()[0] for query in queries.captured_queries][1] == "INSERT"


@pytest.mark.parametrize("keyword", ["secret", "digest", "partial", "token", "pk"])
def test_secret_cannot_be_chosen(user: User, keyword: str) -> None:
    chosen: dict[str, Any] = {keyword: SECRET}

    with pytest.raises(TypeError, match=keyword):
        Token.objects.create_token(user=user, name="laptop", **chosen)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "blank"),
        ("\t", "blank"),
        ("x" * 101, "max_length"),
        ("a\0b", "control"),
        ("\u200b", "invisible"),
    ],
)
def test_bad_name_is_refused(user: User, name: str, code: str) -> None:
    assert code_of("name", user=user, name=name) == code
    assert not Token.objects.exists()


@at_now
@pytest.mark.parametrize("age", [timedelta(0), TICK, timedelta(days=1)])
def test_expiration_that_is_not_in_the_future_is_refused(user: User, age: timedelta) -> None:
    code_of("expires_at", user=user, name="laptop", expires_at=NOW - age)
    assert not Token.objects.exists()


@at_now
def test_expiration_in_the_future_is_kept_to_the_microsecond(user: User) -> None:
    token, _ = Token.objects.create_token(user=user, name="laptop", expires_at=NOW + TICK)

    token.refresh_from_db()
    assert token.expires_at == NOW + TICK


def test_inactive_user_gets_no_token(user: User) -> None:
    user.is_active = False

    assert code_of("__all__", user=user, name="laptop") == "inactive"
    assert not Token.objects.exists()


@pytest.mark.parametrize("stranger", [AnonymousUser(), None, User(username="unsaved")])
def test_token_needs_a_stored_user(stranger: Any) -> None:
    with pytest.raises(ValueError, match="user"):
        Token.objects.create_token(user=stranger, name="laptop")
    assert not Token.objects.exists()


def test_user_of_a_related_manager_is_the_owner(user: User) -> None:
    token, _ = user.access_tokens.create_token(name="laptop")
    other, _ = user.access_tokens.create_token(user=user, name="phone")

    assert token.user == other.user == user


def test_related_manager_refuses_another_user(user: User) -> None:
    with pytest.raises(ValueError, match="own user"):
        user.access_tokens.create_token(user=UserFactory.create(), name="laptop")
    assert not Token.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_only_a_taken_name_is_called_taken(user: User) -> None:
    gone = User.objects.get()
    User.objects.all().delete()

    with pytest.raises(IntegrityError):
        Token.objects.create_token(user=gone, name="laptop")


def test_taken_name_is_refused(token: KnownToken) -> None:
    assert code_of("name", user=token.user, name="laptop") == "unique"
    assert code_of("name", user=token.user, name=" laptop ") == "unique"
    assert Token.objects.get() == token


def test_taken_name_leaves_the_transaction_of_the_caller_usable(token: KnownToken) -> None:
    with transaction.atomic():
        assert code_of("name", user=token.user, name="laptop") == "unique"
        TokenFactory.create(user=token.user, name="another")

    assert Token.objects.count() == 2


def test_name_of_another_user_or_of_a_deleted_token_is_free(token: KnownToken) -> None:
    TokenFactory.create(name="laptop")
    token.delete()

    TokenFactory.create(user=token.user, name="laptop")


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_parallel_creates_of_a_name_make_one_token() -> None:
    user = UserFactory.create()
    barrier = threading.Barrier(4)
    outcomes: list[type[object]] = []

    def create() -> None:
        barrier.wait()
        try:
            outcomes.append(type(Token.objects.create_token(user=user, name="laptop")))
        except Exception as error:
            outcomes.append(type(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes, key=str) == [ValidationError] * 3 + [tuple]


def test_template_cannot_create_a_token() -> None:
    assert Token.objects.create_token.alters_data is True  # type: ignore[attr-defined]  # of the function


@pytest.mark.parametrize("digest", [{}, {"digest": ""}, {"digest": None}])
def test_row_without_a_digest_cannot_be_stored(user: User, digest: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Token.objects.create(user=user, name="laptop", **digest)
    with pytest.raises(IntegrityError), transaction.atomic():
        Token.objects.bulk_create([Token(user=user, name="laptop", **digest)])
    assert not Token.objects.exists()


@pytest.mark.parametrize("digest", ["", None])
def test_digest_cannot_be_taken_away(token: KnownToken, digest: str | None) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Token.objects.update(digest=digest)


def test_digest_is_unique(token: KnownToken) -> None:
    with pytest.raises(IntegrityError):
        Token.objects.create(user=token.user, name="another", digest=token.digest)


# Verify


def test_secret_gives_its_token_and_user(token: KnownToken) -> None:
    verified = Token.objects.verify(token.secret)

    assert verified == token
    assert verified.user == token.user


@pytest.mark.parametrize("golden", GOLDEN_SECRETS, ids=lambda golden: golden["partial"])
def test_golden_secret_still_gives_access(user: User, golden: Golden) -> None:
    row = Token.objects.create(user=user, name="issued long ago", digest=golden["digest"])

    assert Token.objects.verify(golden["secret"]) == row


def test_secret_of_another_prefix_still_gives_access(token: KnownToken, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"PREFIX": "acme"}

    assert Token.objects.verify(token.secret) == token


def test_secret_survives_another_secret_key(token: KnownToken, settings: Settings) -> None:
    settings.SECRET_KEY = "another"

    assert Token.objects.verify(token.secret) == token


@pytest.mark.parametrize(
    "secret",
    ["", "pat", SECRET[:-1], SECRET + "\n", SECRET.swapcase(), "\udcff", None, 5, SECRET.encode()],
)
def test_malformed_secret_is_refused_without_a_query(
    secret: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        assert reason_of(secret) == Reason.MALFORMED


def test_digest_and_partial_are_no_secrets(token: KnownToken) -> None:
    assert reason_of(token.digest) == Reason.MALFORMED
    assert reason_of(token.partial) == Reason.MALFORMED


def test_unknown_secret_is_refused(token: KnownToken) -> None:
    assert reason_of(SECRET) == Reason.UNKNOWN


def test_digest_of_an_unknown_algorithm_is_not_found(token: KnownToken) -> None:
    Token.objects.update(digest=token.digest.replace("sha256", "sha512"))

    assert reason_of(token.secret) == Reason.UNKNOWN


@pytest.mark.parametrize(
    ("change", "is_equal_in_mariadb"),
    [
        (str.upper, True),
        (lambda digest: digest + " ", True),
        (lambda digest: digest[:-1], False),
    ],
)
def test_digest_that_looks_the_same_is_never_that_of_another_token(
    token: KnownToken, change: Callable[[str], str], is_equal_in_mariadb: bool
) -> None:
    other = TokenFactory.create()
    Token.objects.filter(pk=token.pk).update(digest=change(token.digest))

    if connection.vendor == "mysql" and is_equal_in_mariadb:
        assert Token.objects.verify(token.secret) == token
    else:
        assert reason_of(token.secret) == Reason.UNKNOWN
    assert Token.objects.verify(other.secret) == other


@pytest.mark.parametrize("delete", [Token.delete, lambda token: Token.objects.all().delete()])
def test_deleted_token_is_refused(token: KnownToken, delete: Callable[[Token], Any]) -> None:
    delete(token)

    assert reason_of(token.secret) == Reason.UNKNOWN


def test_token_of_a_deleted_user_is_refused(token: KnownToken) -> None:
    token.user.delete()

    assert reason_of(token.secret) == Reason.UNKNOWN


def test_token_of_an_inactive_user_is_refused_while_it_is_inactive(token: KnownToken) -> None:
    User.objects.update(is_active=False)
    assert reason_of(token.secret) == Reason.INACTIVE

    User.objects.update(is_active=True)
    assert Token.objects.verify(token.secret) == token


@at_now
@pytest.mark.parametrize(
    ("expires_at", "is_expired"),
    [
        (None, False),
        (NOW - timedelta(days=1), True),
        (NOW - TICK, True),
        (NOW, True),
        (NOW + TICK, False),
        (NOW + timedelta(days=1), False),
    ],
    ids=str,
)
def test_token_is_expired_from_its_expiration_on(
    user: User, expires_at: datetime | None, is_expired: bool
) -> None:
    token = TokenFactory.create(user=user, expires_at=expires_at)

    assert token.is_expired is is_expired
    assert Token.objects.expired().exists() is is_expired
    if is_expired:
        assert reason_of(token.secret) == Reason.EXPIRED
    else:
        assert Token.objects.verify(token.secret) == token


@at_now
def test_expiration_is_reported_before_inactivity(user: User) -> None:
    token = TokenFactory.create(user=user, expires_at=NOW)
    User.objects.update(is_active=False)

    assert reason_of(token.secret) == Reason.EXPIRED


@pytest.mark.parametrize("now", [datetime(2026, 10, 25, 2, 30), datetime(2026, 3, 1, 12, 0)])  # noqa: DTZ001
def test_expiration_works_without_time_zones(now: datetime, settings: Settings) -> None:
    settings.USE_TZ = False
    settings.TIME_ZONE = "Europe/Berlin"
    with time_machine.travel(now, tick=False):
        here = timezone.now()
        assert here.tzinfo is None
        assert Token(expires_at=here).is_expired
        assert not Token(expires_at=here + TICK).is_expired
        assert end_of_day(1).date() == here.date() + timedelta(days=1)


def test_only_the_database_for_writes_is_asked(token: KnownToken, settings: Settings) -> None:
    # It does not exist, so asking it is an error.
    settings.DATABASE_ROUTERS = [ReplicaRouter("replica")]

    assert Token.objects.verify(token.secret).user.username == "ada"
    TokenFactory.create(user=token.user)
    with pytest.raises(Exception, match="replica"):
        Token.objects.get()


def test_manager_of_another_database_is_obeyed(token: KnownToken) -> None:
    with pytest.raises(Exception, match="other"):
        Token.objects.db_manager("other").verify(SECRET)
    with pytest.raises(Exception, match="other"):
        Token.objects.db_manager("other").create_token(user=token.user, name="x")


def test_verifying_is_one_query(
    token: KnownToken, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        assert Token.objects.verify(token.secret).user.is_active


@pytest.mark.parametrize(("secret", "queries"), [(SECRET, 2), (SECRET[:-1], 0)])
def test_unknown_secret_is_looked_for_among_current_and_previous_ones(
    secret: str, queries: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(queries):
        reason_of(secret)


def test_unknown_secret_is_one_query_where_rotation_is_off(
    settings: Settings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    settings.ACCESS_TOKENS = {"ROTATION_OVERLAP": None}
    with django_assert_num_queries(1):
        reason_of(SECRET)


def test_authenticating_verifies_and_records(token: KnownToken) -> None:
    assert Token.objects.authenticate(token.secret) == token
    token.refresh_from_db()
    assert token.last_used_at is not None

    token.delete()
    with pytest.raises(TokenRejected):
        Token.objects.authenticate(token.secret)


def call(tokens: Any, verb: str, secret: str) -> Any:
    """Call ``verify()``, ``authenticate()`` or one of their asynchronous twins."""

    method = getattr(tokens, verb)

    async def acall() -> Any:
        return await method(secret)

    return async_to_sync(acall)() if iscoroutinefunction(method) else method(secret)


@pytest.mark.parametrize(("verb", "is_recorded"), [("averify", False), ("aauthenticate", True)])
def test_asynchronous_twin_does_the_same(token: KnownToken, verb: str, is_recorded: bool) -> None:
    for tokens in (Token.objects, token.user.access_tokens):
        assert call(tokens, verb, token.secret).user == token.user
    for tokens in (Token.objects, token.user.access_tokens):
        with pytest.raises(TokenRejected) as raised:
            call(tokens, verb, SECRET)
        assert raised.value.reason == Reason.UNKNOWN
    with pytest.raises(TokenRejected):
        call(UserFactory.create().access_tokens, verb, token.secret)

    token.refresh_from_db()
    assert (token.last_used_at is not None) == is_recorded


# What is shown


def frames(traceback: TracebackType | None) -> Iterator[dict[str, Any]]:
    """Yield the variables of each frame outside this module."""
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename != __file__:
            yield traceback.tb_frame.f_locals
        traceback = traceback.tb_next


@contextmanager
def broken_database() -> Iterator[None]:
    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(fail):
        yield


@pytest.mark.parametrize("secret", [SECRET, SECRET[:-1], SECRET + "!"])
@pytest.mark.parametrize("verb", ["verify", "authenticate", "averify", "aauthenticate"])
def test_no_frame_holds_the_secret_when_verifying_fails(
    secret: str, verb: str, fail_on: FailOn
) -> None:
    fail_on(token_rejected)

    for context in (broken_database(), transaction.atomic()):
        with pytest.raises((DatabaseError, RuntimeError)) as raised, context:
            call(Token.objects, verb, secret)
        variables = list(frames(raised.tb))
        assert len(variables) >= 2
        assert SECRET[8:-4] not in repr(variables)


def test_frames_show_the_secret_only_masked_when_creating_fails(user: User) -> None:
    with broken_database(), pytest.raises(OperationalError) as raised:
        Token.objects.create_token(user=user, name="laptop")

    secrets = {
        value
        for variables in frames(raised.tb)
        for value in variables.values()
        if isinstance(value, str) and crypto.is_well_formed(value)
    }
    assert {type(secret) for secret in secrets} == {crypto.Secret}


def test_rejection_says_only_the_reason() -> None:
    with pytest.raises(TokenRejected) as raised:
        Token.objects.verify(SECRET)
    assert (raised.value.args, str(raised.value)) == ((Reason.UNKNOWN,), "unknown")


def test_verified_token_does_not_know_its_digest(token: KnownToken) -> None:
    verified = Token.objects.verify(token.secret)

    assert verified.get_deferred_fields() >= {"digest", "previous_digest"}
    assert token.digest not in repr(vars(verified))


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        lambda token: str(model_to_dict(token)),
        lambda token: str(modelform_factory(Token, fields="__all__")(instance=token)),
    ],
)
def test_digest_is_not_shown(token: KnownToken, show: Callable[[Token], str]) -> None:
    shown = show(Token.objects.get())

    assert "laptop" in shown
    assert "digest" not in shown
    assert token.digest.removeprefix("sha256$") not in shown
    assert token.secret not in shown


def test_form_cannot_be_made_for_the_digest() -> None:
    with pytest.raises(FieldError, match="digest"):
        modelform_factory(Token, fields=["digest"])


def test_tokens_work_after_the_site_is_dumped_and_loaded(token: KnownToken, tmp_path: Path) -> None:
    fixture = tmp_path / "site.json"
    call_command("dumpdata", output=fixture, exclude=["contenttypes", "auth.permission"])
    User.objects.all().delete()

    call_command("loaddata", fixture, verbosity=0)

    assert Token.objects.verify(token.secret) == token
    assert token.secret not in fixture.read_text()


# Signals and log


def test_created_signal_is_sent_once(user: User, listen: Listen) -> None:
    received = listen(token_created)

    token, _ = Token.objects.create_token(user=user, name="laptop")

    assert received == [{"sender": Token, "token": token}]


def test_created_signal_is_not_sent_for_a_refused_name(token: KnownToken, listen: Listen) -> None:
    received = listen(token_created)

    code_of("name", user=token.user, name="laptop")

    assert received == []


@pytest.mark.parametrize(
    "delete",
    [
        lambda token: token.delete(),
        lambda token: Token.objects.filter(pk=token.pk).delete(),
        lambda token: token.user.access_tokens.all().delete(),
        lambda token: token.user.delete(),
        lambda token: User.objects.all().delete(),
    ],
    ids=["instance", "queryset", "related manager", "cascade", "cascade of a queryset"],
)
def test_deleted_signal_is_sent_once_for_each_row(
    token: KnownToken, delete: Callable[[Any], Any], listen: Listen
) -> None:
    received = listen(token_deleted)

    delete(Token.objects.get())

    assert [(kwargs.pop("token").name, kwargs) for kwargs in received] == [
        ("laptop", {"sender": Token})
    ]


def test_deleted_signal_is_sent_for_each_of_many(user: User, listen: Listen) -> None:
    pks = {token.pk for token in TokenFactory.create_batch(3, user=user)}
    deleted = []

    def receiver(token: Token, **kwargs: Any) -> None:
        # After the signal Django takes the primary key away.
        deleted.append(token.pk)

    token_deleted.connect(receiver)
    user.delete()

    assert len(deleted) == 3
    assert set(deleted) == pks


def test_rejected_signal_is_sent_once_with_the_reason(user: User, listen: Listen) -> None:
    expired = TokenFactory.create(user=user, expires_at=timezone.now())
    inactive = TokenFactory.create(user=UserFactory.create(username="left"))
    User.objects.filter(username="left").update(is_active=False)
    request = RequestFactory().get("/")
    received = listen(token_rejected)

    for secret in (SECRET[:-1], SECRET, expired.secret, inactive.secret):
        with pytest.raises(TokenRejected):
            Token.objects.verify(secret, request=request)
    reason_of(SECRET)

    assert received == [
        {"sender": Token, "reason": Reason.MALFORMED, "token": None, "request": request},
        {"sender": Token, "reason": Reason.UNKNOWN, "token": None, "request": request},
        {"sender": Token, "reason": Reason.EXPIRED, "token": expired, "request": request},
        {"sender": Token, "reason": Reason.INACTIVE, "token": inactive, "request": request},
        {"sender": Token, "reason": Reason.UNKNOWN, "token": None, "request": None},
    ]


def test_accepted_secret_sends_no_signal(token: KnownToken, listen: Listen) -> None:
    received = listen(token_rejected)

    Token.objects.verify(token.secret)

    assert received == []


@pytest.mark.parametrize("signal", [token_created, token_deleted])
def test_failing_receiver_undoes_nothing_and_is_logged(
    signal: Signal,
    user: User,
    fail_on: FailOn,
    listen: Listen,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fail_on(signal)
    received = listen(signal)

    token, secret = Token.objects.create_token(user=user, name="laptop")
    assert Token.objects.verify(secret) == token
    token.delete()

    assert not Token.objects.exists()
    assert len(received) == 1
    assert "The receiver failed." in caplog.text


def test_receiver_of_a_rejection_may_raise(fail_on: FailOn) -> None:
    fail_on(token_rejected)

    with pytest.raises(RuntimeError, match="receiver"):
        Token.objects.verify(SECRET)


def test_log_names_ids_and_reasons_and_neither_secret_nor_digest(
    user: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "access_tokens")
    token, secret = Token.objects.create_token(user=user, name="laptop")
    pk, digest = token.pk, token.digest
    reason_of(SECRET)
    User.objects.update(is_active=False)
    reason_of(secret)
    token.delete()

    records = [record for record in caplog.records if record.name == "access_tokens"]
    assert [(record.levelname, record.getMessage()) for record in records] == [
        ("INFO", f"Token {pk} of user {user.pk} was created."),
        ("INFO", "A secret was refused: unknown (token None, user None)."),
        ("INFO", f"A secret was refused: inactive (token {pk}, user {user.pk})."),
        ("INFO", f"Token {pk} of user {user.pk} was deleted."),
    ]
    assert not any(text in repr(vars(record)) for record in records for text in (secret, digest))


# Querysets


@at_now
def test_states_are_queries(user: User) -> None:
    days = timedelta(days=1)
    TokenFactory.create(user=user, name="new")
    TokenFactory.create(user=user, name="expired", expires_at=NOW)
    TokenFactory.create(user=user, name="never used", created_at=NOW - 90 * days)
    TokenFactory.create(
        user=user, name="used", created_at=NOW - 99 * days, last_used_at=NOW - 89 * days
    )
    TokenFactory.create(
        user=user, name="unused", created_at=NOW - 99 * days, last_used_at=NOW - 90 * days
    )

    def names(tokens: Any) -> set[str]:
        return set(tokens.values_list("name", flat=True))

    assert names(user.access_tokens.never_used()) == {"new", "expired", "never used"}
    assert names(user.access_tokens.unused()) == {"never used", "unused"}
    assert names(user.access_tokens.unused(89)) == {"never used", "unused", "used"}
    assert names(user.access_tokens.expired()) == {"expired"}
    assert names(user.access_tokens.without_expiry()) == {"new", "never used", "used", "unused"}


def test_newest_token_is_first(user: User) -> None:
    assert TokenFactory.create_batch(3, user=user)[::-1] == list(Token.objects.all())


# Forms other than ours


@at_now
def test_form_of_the_model_names_what_is_wrong(token: KnownToken) -> None:
    form_class = modelform_factory(Token, fields=["user", "name", "expires_at"])
    UserFactory.create(username="left", is_active=False)

    def errors(**changes: Any) -> Any:
        data = {"user": token.user_id, "name": "new", "expires_at": ""} | changes
        return json.loads(form_class(data).errors.as_json())

    assert errors() == {}
    assert errors(name="laptop")["__all__"][0]["message"] == (
        "You already have a token named “laptop”. Choose another name."
    )
    assert errors(expires_at=str(NOW))["expires_at"][0]["message"] == (
        "The expiration must be in the future."
    )
    assert errors(user=User.objects.get(username="left").pk)["__all__"][0]["code"] == "inactive"


def test_expired_token_of_an_inactive_user_can_be_renamed(token: KnownToken) -> None:
    Token.objects.update(expires_at=NOW - timedelta(days=9999))
    User.objects.update(is_active=False)
    form_class = modelform_factory(Token, fields=["name"])

    assert form_class({"name": "renamed"}, instance=Token.objects.get()).is_valid()


def test_digest_that_is_taken_is_an_error_of_django(token: KnownToken) -> None:
    row = Token(user=token.user, name="another", digest=token.digest, partial="x")

    with pytest.raises(ValidationError, match="already exists"):
        row.validate_constraints()


def test_related_manager_verifies_tokens_of_its_user_only(token: KnownToken) -> None:
    other = UserFactory.create()
    assert token.user.access_tokens.verify(token.secret) == token
    with pytest.raises(TokenRejected) as refusal:
        other.access_tokens.verify(token.secret)
    assert refusal.value.reason == Reason.UNKNOWN


@pytest.mark.parametrize("expires_at", ["tomorrow", "2099-02-30"])
def test_expiration_that_is_no_time_is_refused(user: User, expires_at: Any) -> None:
    with pytest.raises(ValidationError):
        Token.objects.create_token(user=user, name="laptop", expires_at=expires_at)
    assert not Token.objects.exists()


@pytest.mark.filterwarnings("ignore:DateTimeField Token.expires_at received a naive datetime")
def test_naive_expiration_is_made_aware_as_django_does_it(user: User) -> None:
    naive = datetime(2099, 1, 1)  # noqa: DTZ001  # the very subject
    token, _secret = Token.objects.create_token(user=user, name="laptop", expires_at=naive)
    assert token.expires_at == timezone.make_aware(naive)
