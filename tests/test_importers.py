from __future__ import annotations

import logging
import threading
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import DatabaseError, OperationalError, connection, connections, models
from django.db.models import Value
from django.dispatch import Signal
from django.test import Client
from django.test.utils import CaptureQueriesContext, isolate_apps
from django.utils import timezone
from knox.models import AuthToken
from pytest_django import Settings
from rest_framework.authtoken.models import Token as Key
from rest_framework_api_key.models import APIKey

from access_tokens import importers
from access_tokens.crypto import digest_secret
from access_tokens.exceptions import Reason, TokenRejected
from access_tokens.importers import Outcome, Row, import_tokens
from access_tokens.importers.sources import SOURCES, HexSHA256
from access_tokens.management.commands import import_access_tokens
from access_tokens.models import Token
from access_tokens.signals import token_created

from .factories import TokenFactory, UserFactory
from .html import Page
from .packages import PACKAGES, Package

pytestmark = pytest.mark.django_db

Output = pytest.CaptureFixture[str]

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
YEAR = timedelta(days=365)

each_package = pytest.mark.parametrize("package", PACKAGES.values(), ids=PACKAGES)


def import_from(package: str, *options: str) -> None:
    call_command("import_access_tokens", package, *options)


@pytest.fixture(autouse=True)
def legacy_formats(settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"LEGACY_FORMATS": ["authtoken", "knox", "api-key"]}


def use(keyword: str, secret: str) -> Any:
    return Client(headers={"Authorization": f"{keyword} {secret}"}).get("/api/me/")


# A whole move.


@each_package
def test_secret_of_a_package_works_without_the_package(
    user: User, settings: Settings, package: Package
) -> None:
    with time_machine.travel(NOW - YEAR, tick=False):
        secret = package.issue(user)
    import_from(package.name, *package.options)
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != package.app]

    for keyword in (package.keyword, package.keyword.lower(), "Bearer"):
        response = use(keyword, secret)
        assert (response.status_code, response.json()["username"]) == (200, "ada")
    token = user.access_tokens.get()
    assert (token.created_at, token.expires_at, token.scopes) == (NOW - YEAR, None, None)
    assert token.last_used_at is not None


@each_package
def test_page_shows_a_name_and_a_partial(user: User, client: Client, package: Package) -> None:
    secret = package.issue(user)
    import_from(package.name, *package.options)
    client.force_login(user)

    page = Page(client.get("/account/tokens/"))
    start, dots, end = page.text("code[@class='at-mask']").partition("••••••••")
    assert dots
    assert len(start) in {4, 8, 15}
    assert secret.startswith(start)
    assert secret.endswith(end)
    said = f"starts with {start}" + (f", ends with {end}" if end else "")
    assert page.texts("span[@class='at-sr']") == [said]
    assert user.access_tokens.get().name == (
        "CI pipeline" if package.name == "api-key" else package.name
    )


@each_package
def test_imported_token_can_be_rotated_into_a_secret_of_ours(user: User, package: Package) -> None:
    old = package.issue(user)
    import_from(package.name, *package.options)
    token = user.access_tokens.get()

    new = Token.objects.rotate(token)
    assert new.startswith("pat_")
    assert token.previous_partial
    # A client may go on with its header.
    for secret in (old, new, old):
        assert use(package.keyword, secret).status_code == 200
    Token.objects.end_previous(token)
    assert use(package.keyword, old).status_code == 401
    assert use(package.keyword, new).status_code == 200


@each_package
def test_deleted_token_gives_no_access_though_the_package_still_has_it(
    user: User, settings: Settings, package: Package
) -> None:
    secret = package.issue(user)
    import_from(package.name, *package.options)

    user.access_tokens.all().delete()
    assert use(package.keyword, secret).status_code == 401


@pytest.mark.parametrize(
    ("package", "issue", "options"),
    [
        ("knox", lambda user: AuthToken.objects.create(user, expiry=YEAR)[1], ()),
        (
            "api-key",
            lambda user: APIKey.objects.create_key(name="CI", expiry_date=NOW + YEAR)[1],
            ["--user=ada"],
        ),
    ],
)
def test_imported_token_expires_as_before(
    user: User, package: str, issue: Callable[[User], str], options: Any
) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        secret = issue(user)
        import_from(package, *options)
        assert user.access_tokens.get().expires_at == NOW + YEAR
        assert Token.objects.verify(secret)

        clock.shift(YEAR)
        with pytest.raises(TokenRejected) as refusal:
            Token.objects.verify(secret)
    assert refusal.value.reason == Reason.EXPIRED


# What is imported.


def test_tables_of_the_packages_stay_as_they_are(user: User) -> None:
    for package in PACKAGES.values():
        if package is not PACKAGES["knox"]:
            package.issue(user)
    rows = [list(model.objects.order_by("pk").values()) for model in (Key, AuthToken, APIKey)]

    for package in PACKAGES.values():
        import_from(package.name, *package.options)
    assert rows == [
        list(model.objects.order_by("pk").values()) for model in (Key, AuthToken, APIKey)
    ]
    assert user.access_tokens.count() == 3


@each_package
def test_second_import_imports_nothing(user: User, capsys: Output, package: Package) -> None:
    package.issue(user)
    import_from(package.name, *package.options)
    capsys.readouterr()
    before = list(Token.objects.values())

    import_from(package.name, *package.options)
    assert capsys.readouterr().out == ("Imported 0 access tokens.\nLeft out 1: already here.\n")
    assert list(Token.objects.values()) == before


def test_token_that_was_rotated_is_not_imported_again(user: User) -> None:
    PACKAGES["authtoken"].issue(user)
    import_from("authtoken")
    Token.objects.rotate(user.access_tokens.get())

    import_from("authtoken")
    assert user.access_tokens.count() == 1


def test_dry_run_imports_nothing(user: User, capsys: Output) -> None:
    PACKAGES["authtoken"].issue(user)

    import_from("authtoken", "--dry-run")
    assert capsys.readouterr() == ("Would import 1 access token.\n", "")
    assert not Token.objects.exists()


def test_import_says_what_it_left_out(user: User, capsys: Output) -> None:
    now = timezone.now()
    APIKey.objects.create_key(name="good")
    APIKey.objects.create_key(name="revoked", revoked=True, expiry_date=now)
    APIKey.objects.create_key(name="expired", expiry_date=now)
    for name in ("PBKDF2", "and another"):
        old, _ = APIKey.objects.create_key(name=name)
        APIKey.objects.filter(pk=old.pk).update(hashed_key="pbkdf2_sha256$1000000$salt$hash")
    old, _ = APIKey.objects.create_key(name="other prefix")
    APIKey.objects.filter(pk=old.pk).update(prefix="short")

    import_from("api-key", "--user=ada")
    output = capsys.readouterr()
    assert output.out == (
        "Imported 1 access token.\n"
        "Left out 1: expired.\n"
        "Left out 1: revoked.\n"
        "Left out 3: unsupported. Version 2 or older stored the key. "
        "Version 3 updates its digest at the next use.\n"
    )
    assert output.err == (
        "Until their next use, prune_access_tokens counts them as unused since they were created.\n"
    )


def test_token_of_knox_4_is_unsupported(user: User, capsys: Output) -> None:
    AuthToken.objects.create(user, expiry=None)
    AuthToken.objects.update(token_key="01234567")

    import_from("knox")
    assert capsys.readouterr().out == (
        "Imported 0 access tokens.\n"
        "Left out 1: unsupported. "
        "Version 4 or older created the token, and its digest is a different one.\n"
    )


@pytest.mark.parametrize("key", ["A" * 40, "a" * 39, "g" * 40, "a" * 39 + "é", "٣" * 40, "my-key"])
def test_key_of_another_shape_is_unsupported(user: User, capsys: Output, key: str) -> None:
    Key.objects.create(user=user, key=key)

    import_from("authtoken")
    assert "Left out 1: unsupported." in capsys.readouterr().out
    assert not Token.objects.exists()


def test_row_that_comes_twice_is_imported_once(user: User) -> None:
    row = Row(user.pk, "sha256$x", "…", "name", timezone.now(), None, False)

    outcomes = importers.import_chunk([row, row], "", dry_run=False)
    assert outcomes == {Outcome.IMPORTED: 1, Outcome.PRESENT: 1}


def test_key_of_a_user_who_is_gone_is_left_out(user: User) -> None:
    row = Row(user.pk + 1, "sha256$x", "…", "name", timezone.now(), None, False)

    outcomes = importers.import_chunk([row], "", dry_run=False)
    assert outcomes == Counter({Outcome.NO_USER: 1})


def test_token_of_an_inactive_user_is_imported_and_refused_as_before(user: User) -> None:
    secret = PACKAGES["authtoken"].issue(user)
    User.objects.update(is_active=False)

    import_from("authtoken")
    assert use("Token", secret).status_code == 401
    User.objects.update(is_active=True)
    assert use("Token", secret).status_code == 200


def test_limits_and_emails_are_for_new_tokens(
    user: User, settings: Settings, listen: Callable[[Signal], list[dict[str, Any]]]
) -> None:
    settings.ACCESS_TOKENS = {
        "MAX_EXPIRY_DAYS": 1, "MAX_TOKENS_PER_USER": 1, "EMAIL_ON_CREATION": True
    }  # fmt: skip
    User.objects.update(email="ada@example.com")
    sent = listen(token_created)
    for _ in range(2):
        PACKAGES["knox"].issue(user)

    import_from("knox")
    assert user.access_tokens.filter(expires_at=None).count() == 2
    assert sent == []
    assert mail.outbox == []


# Names.


def test_name_that_is_taken_gets_the_partial(user: User) -> None:
    TokenFactory.create(user=user, name="CI")
    keys = [APIKey.objects.create_key(name="CI")[0] for _ in range(2)]
    other = UserFactory.create()
    TokenFactory.create(user=other, name=f"CI {keys[0].prefix}…")

    import_from("api-key", "--user=ada")
    names = list(user.access_tokens.order_by("pk").values_list("name", flat=True))
    assert names == ["CI", *(f"CI {key.prefix}…" for key in keys)]


def test_name_whose_partial_is_taken_too_gets_random_characters(user: User) -> None:
    AuthToken.objects.create(user, expiry=None)
    AuthToken.objects.update(token_key="0123456789abcde")
    for name in ("knox", "knox 0123456789abcde…"):
        TokenFactory.create(user=user, name=name)

    import_from("knox")
    name = user.access_tokens.latest("pk").name
    assert name.startswith("knox 0123456789abcde… ")
    assert len(name) == len("knox 0123456789abcde… ") + 4


def test_name_can_be_given(user: User) -> None:
    for _ in range(2):
        PACKAGES["knox"].issue(user)

    import_from("knox", f"--name= {'n' * 100} ")
    first, second = user.access_tokens.order_by("pk").values_list("name", flat=True)
    assert first == "n" * 100
    assert second.startswith("n" * 78 + " ")
    assert len(second) <= 100


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\u202eexe", "\u200b"])
def test_name_that_could_not_be_chosen_is_replaced(user: User, name: str) -> None:
    key, _ = APIKey.objects.create_key(name="CI")
    APIKey.objects.filter(pk=key.pk).update(name=name)

    import_from("api-key", "--user=ada")
    assert user.access_tokens.get().name == "api-key"


def test_long_name_is_cut(user: User) -> None:
    row = Row(user.pk, "sha256$x", "…", "n" * 150, timezone.now(), None, False)

    importers.import_chunk([row], "", dry_run=False)
    assert user.access_tokens.get().name == "n" * 100


# Owners and models.


def test_field_leads_to_the_owner_through_other_models(user: User) -> None:
    PACKAGES["authtoken"].issue(user)

    import_from("authtoken", "--user-field=user__auth_token__user")
    assert user.access_tokens.count() == 1


@isolate_apps("access_tokens")
def test_owner_may_have_the_primary_key_of_another_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Person(models.Model):  # noqa: DJ008
        id = models.UUIDField(primary_key=True, default=uuid.uuid4)

        class Meta:
            app_label = "access_tokens"

    class Employee(models.Model):  # noqa: DJ008
        person = models.OneToOneField(Person, on_delete=models.CASCADE, primary_key=True)

        class Meta:
            app_label = "access_tokens"

    employee = Employee(person=Person())
    monkeypatch.setattr(import_access_tokens, "get_user_model", lambda: Employee)
    monkeypatch.setattr(import_access_tokens, "get_user", lambda username: employee)
    APIKey.objects.create_key(name="CI")

    user = import_access_tokens.owner(SOURCES["api-key"], APIKey, None, "ada")
    assert APIKey.objects.values_list(user, flat=True).get() == employee.pk


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["api-key"], "These tokens have no users. Give one with --user or --user-field."),
        (["api-key", "--user=nobody"], "There is no user 'nobody'."),
        (["api-key", "--user-field=name"], "APIKey.name doesn't lead to a user."),
        (["api-key", "--user-field=name__pk"], "APIKey.name__pk doesn't lead to a user."),
        (["api-key", "--user-field=owner"], "APIKey.owner doesn't lead to a user."),
        (["knox", "--user-field=user__groups__user"], "groups__user doesn't lead to a user."),
        (["knox", "--user=ada"], "--user: These tokens have users of their own."),
        (["knox", "--name=\n"], "--name: Enter a name."),
        (["knox", "--model=nothing"], "There is no model nothing. Is its app installed?"),
        (["knox", "--model=no.Model"], "There is no model no.Model. Is its app installed?"),
        (["knox", "--model=authtoken.Token"], "authtoken.Token lacks a field: "),
        (["api-key", "--user=ada", "--model=auth.User"], "auth.User lacks a field: "),
    ],
)
def test_wrong_options_are_refused(user: User, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError) as error:
        import_from(*arguments)

    assert message in str(error.value)


def test_package_that_is_gone_is_refused(settings: Settings) -> None:
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "knox"]

    with pytest.raises(CommandError, match=r"There is no model knox\.AuthToken"):
        import_from("knox")


@pytest.mark.parametrize(
    "changes", [{"AUTH_TOKEN_CHARACTER_LENGTH": 32}, {"SECURE_HASH_ALGORITHM": "hashlib.sha3_512"}]
)
def test_other_lengths_and_digests_of_knox_are_refused(
    settings: Settings, changes: dict[str, Any]
) -> None:
    settings.REST_KNOX = changes

    with pytest.raises(CommandError, match="another length or digest"):
        import_from("knox")


def test_other_lengths_of_api_keys_are_refused(monkeypatch: pytest.MonkeyPatch, user: User) -> None:
    monkeypatch.setattr(APIKey.objects.key_generator, "secret_key_length", 64)

    with pytest.raises(CommandError, match="another length or digest"):
        import_from("api-key", "--user=ada")


def test_model_that_replaces_that_of_the_package_is_found(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    PACKAGES["authtoken"].issue(user)
    monkeypatch.setattr(AuthToken._meta, "swapped", "authtoken.Token")

    with pytest.raises(CommandError, match=r"authtoken\.Token lacks a field"):
        import_from("knox")


# Chunks.


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importers, "CHUNK_SIZE", 2)


@pytest.mark.usefixtures("small_chunks")
def test_import_is_made_in_chunks_and_keeps_the_order(user: User, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "access_tokens")
    with time_machine.travel(NOW, tick=False) as clock:
        for _ in range(5):
            APIKey.objects.create_key(name="CI")
            clock.shift(-60)

    import_from("api-key", "--user=ada")
    dates = list(user.access_tokens.values_list("created_at", flat=True))
    assert dates == [NOW - timedelta(minutes=n) for n in range(5)]
    assert "5 tokens were imported from rest_framework_api_key.APIKey." in caplog.messages


@pytest.mark.usefixtures("small_chunks")
def test_terminal_shows_the_progress(
    user: User, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        PACKAGES["knox"].issue(user)
    monkeypatch.setattr("django.core.management.base.OutputWrapper.isatty", lambda self: True)

    import_from("knox", "--dry-run", "--no-color")
    assert capsys.readouterr().err == "\r2 of 3 \r3 of 3 "


# Others are faster.


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], object]]]:
    """Yield what is called between the look at the tables and an insert, one each time."""
    calls: list[Callable[[], object]] = []
    give_unique_names = importers.give_unique_names

    def interrupted(*args: Any) -> None:
        give_unique_names(*args)
        if calls:
            calls.pop(0)()

    monkeypatch.setattr(importers, "give_unique_names", interrupted)
    yield calls
    assert calls == []


def fail() -> None:
    raise OperationalError("Deadlock found.")


def test_chunk_is_imported_at_the_second_attempt(
    user: User, capsys: Output, meanwhile: list[Callable[[], object]]
) -> None:
    PACKAGES["knox"].issue(user)
    meanwhile += [fail, lambda: TokenFactory.create(user=user, name="knox")]

    import_from("knox")
    assert capsys.readouterr().out == "Imported 1 access token.\n"


def test_error_that_stays_is_raised(user: User, meanwhile: list[Callable[[], object]]) -> None:
    PACKAGES["knox"].issue(user)
    meanwhile += [fail] * importers.ATTEMPTS

    with pytest.raises(OperationalError):
        import_from("knox")
    assert not Token.objects.exists()


@pytest.mark.server_database
@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("small_chunks")
def test_parallel_imports_import_each_token_once(user: User) -> None:
    users = [user, *UserFactory.create_batch(39)]
    secrets = {PACKAGES["knox"].issue(user): user for user in users * 2}
    rows = SOURCES["knox"].rows(AuthToken, "user__pk", None)
    barrier = threading.Barrier(4)

    def run(number: int) -> Counter[Outcome]:
        barrier.wait()
        try:
            chunks = import_tokens(rows.all(), fallback_name="knox")
            return sum(chunks, Counter())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as executor:
        totals = list(executor.map(run, range(4)))

    assert sum(totals, Counter()) == {Outcome.IMPORTED: 80, Outcome.PRESENT: 240}
    assert Token.objects.count() == 80
    for secret, owner in secrets.items():
        assert Token.objects.verify(secret).user == owner


# Secrets.


def test_no_frame_holds_a_key_when_the_import_fails(user: User) -> None:
    key = PACKAGES["authtoken"].issue(user)

    def break_insert(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("INSERT"):
            raise DatabaseError("The disk is full.")
        return execute(sql, *args)

    with connection.execute_wrapper(break_insert), pytest.raises(DatabaseError) as caught:
        import_from("authtoken")

    frames = [frame for frame, _ in traceback.walk_tb(caught.tb)][1:]
    assert "try_import" in [frame.f_code.co_name for frame in frames]
    for frame in frames:
        for value in frame.f_locals.values():
            assert key not in repr(value)


def test_key_leaves_the_table_only_as_a_digest(user: User, caplog: Any) -> None:
    key = PACKAGES["authtoken"].issue(user)
    with CaptureQueriesContext(connection) as queries:
        import_from("authtoken")

    assert digest_secret(key) in str(queries.captured_queries)
    assert key not in str(queries.captured_queries)
    assert key not in str(list(SOURCES["authtoken"].rows(Key, "user__pk", None)))


def test_digest_needs_no_extension_of_postgresql() -> None:
    compiler = Key.objects.all().query.get_compiler("default")

    sql, _ = HexSHA256(Value("key")).as_postgresql(compiler, connection)
    assert sql == "ENCODE(SHA256(CONVERT_TO(%s, 'UTF8')), 'hex')"
