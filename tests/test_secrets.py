"""A secret is only in the response that creates its token, and a digest only in its column.

The tests create tokens in every way, then search every place where a secret could be left.
"""

from __future__ import annotations

import ast
import base64
import binascii
import logging
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as site
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.backends.file import SessionStore as FileSessionStore
from django.core import serializers
from django.core.cache import caches
from django.core.management import call_command
from django.core.signals import got_request_exception
from django.db import DatabaseError, connection
from django.db.models.signals import post_save
from django.test import Client
from django.utils.log import AdminEmailHandler
from pytest_django import Settings

import access_tokens
from access_tokens.crypto import digest_secret
from access_tokens.models import Token
from access_tokens.signals import token_created, token_rotated

from .factories import KnownToken, TokenFactory, UserFactory
from .html import Page
from .packages import PACKAGES, Package

CREATE = "/account/tokens/new/"
ADMIN = "/admin/access_tokens/token/"
API = "/api/tokens/"
ENGINES = ["db", "cache", "signed_cookies", "file"]
STORAGES = ["session.SessionStorage", "cookie.CookieStorage", "fallback.FallbackStorage"]


# The ways to create a token. Each returns the response or the output that contains the secret.


def by_page(client: Client) -> str:
    return client.post(CREATE, {"name": "swept", "expires_at": "90"}).content.decode()


def by_admin(client: Client) -> str:
    data = {"name": "swept", "user": client.session["_auth_user_id"]}
    return client.post(f"{ADMIN}add/", data).content.decode()


def by_command(client: Client) -> str:
    output = StringIO()
    call_command("create_access_token", "ada", "swept", stdout=output, stderr=StringIO())
    return output.getvalue()


def by_manager(client: Client) -> str:
    _, secret = Token.objects.create_token(user=User.objects.get(username="ada"), name="swept")
    return str(secret)


def make(client: Client) -> Token:
    token, _ = Token.objects.create_token(user=User.objects.get(username="ada"), name="swept")
    return token


def by_rotation_on_the_page(client: Client) -> str:
    return client.post(f"/account/tokens/{make(client).pk}/rotate/").content.decode()


def by_rotation_in_the_admin(client: Client) -> str:
    return client.post(f"{ADMIN}{make(client).pk}/rotate/").content.decode()


def by_rotation(client: Client) -> str:
    return str(Token.objects.rotate(make(client)))


def by_rotation_command(client: Client) -> str:
    make(client)
    output = StringIO()
    call_command("rotate_access_token", "ada", "swept", stdout=output, stderr=StringIO())
    return output.getvalue()


def by_api(client: Client) -> str:
    return client.post(API, {"name": "swept"}).content.decode()


def by_rotation_in_the_api(client: Client) -> str:
    return client.post(f"{API}{make(client).pk}/rotate/").content.decode()


CREATORS: dict[str, Callable[[Client], str]] = {
    "forms/__init__.py": by_page,
    "forms/__init__.py, in the admin": by_admin,
    "management/commands/create_access_token.py": by_command,
    "managers.py": by_manager,
    "forms/__init__.py, by rotation": by_rotation_on_the_page,
    "forms/__init__.py, by rotation in the admin": by_rotation_in_the_admin,
    "management/commands/rotate_access_token.py": by_rotation_command,
    "rotation.py": by_rotation,
    "api/serializers.py": by_api,
    "api/serializers.py, by rotation": by_rotation_in_the_api,
}


def test_every_way_to_create_a_token_is_tested() -> None:
    package = Path(access_tokens.__file__).parent
    makers = {"create_token", "rotate", "generate_secret", "Secret"}
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", None))
                if name in makers:
                    found.add(path.relative_to(package).as_posix())

    # leaks.py finds secrets and makes none.
    assert found - {"crypto.py", "leaks.py"} == {way.partition(",")[0] for way in CREATORS}


# Searching.

BASE64 = re.compile(rb"[A-Za-z0-9_+/-]{16,}")


def unpack(data: bytes, depth: int = 3) -> Iterator[bytes]:
    """Yield ``data`` and everything encoded in it with base64, hex and zlib."""
    yield data
    if depth == 0:
        return
    for run in BASE64.findall(data):
        for decoded in decode(run):
            yield from unpack(decoded, depth - 1)


def decode(run: bytes) -> Iterator[bytes]:
    url_safe = run.replace(b"+", b"-").replace(b"/", b"_")
    decoded = (
        base64.urlsafe_b64decode(url_safe + b"=" * (-len(run) % 4)) if len(run) % 4 != 1 else b""
    )
    yield decoded
    with suppress(zlib.error):
        yield zlib.decompress(decoded)
    with suppress(binascii.Error):
        yield binascii.unhexlify(run)


def holds(data: Any, needle: str) -> bool:
    """Return whether ``data`` contains ``needle`` or half of it, in any encoding."""
    # All secrets start with the same prefix, and all digests with the same algorithm.
    _, _, core = needle.replace("$", "_").rpartition("_")
    half = len(core) // 2
    parts = [core[:half].encode(), core[half:].encode()]
    raw = data if isinstance(data, bytes) else str(data).encode()
    return any(part in unpacked for unpacked in unpack(raw) for part in parts)


@pytest.mark.parametrize(
    "pack",
    [
        str.encode,
        lambda secret: secret[:30].encode(),
        lambda secret: secret[20:].encode(),
        lambda secret: base64.b64encode(secret.encode()),
        lambda secret: b"x=" + base64.urlsafe_b64encode(b'{"a":"' + secret.encode() + b'"}'),
        lambda secret: base64.b64encode(zlib.compress(secret.encode())),
        lambda secret: secret.encode().hex().encode(),
        lambda secret: base64.b64encode(base64.b64encode(secret.encode())),
    ],
)
def test_search_finds_an_encoded_secret(token: KnownToken, pack: Callable[[str], bytes]) -> None:
    other = TokenFactory.create()

    assert holds(b"..." + pack(token.secret) + b"...", token.secret)
    assert not holds(b"..." + pack(token.secret) + b"...", other.secret)


# The places.


class Places:
    """All places where a secret could be left."""

    def __init__(self, client: Client, files: Path, log: pytest.LogCaptureFixture) -> None:
        self.client, self.files, self.log = client, files, log

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        yield from self.tables()
        for model in apps.get_models():
            yield f"fixture of {model.__name__}", serializers.serialize("json", model.objects.all())  # type: ignore[attr-defined]  # of each model
        yield "cookies", self.client.cookies.output()
        yield "session", "".join(map(str, self.client.session.values()))
        for path in self.files.iterdir():
            yield "session file", path.read_bytes()
        for value in caches["default"]._cache.values():  # type: ignore[attr-defined]  # of the one in memory
            yield "cache", value
        for record in self.log.records:
            arguments = record.args.values() if isinstance(record.args, dict) else record.args
            said = [record.getMessage(), record.exc_text, record.stack_info, *(arguments or ())]
            yield f"log {record.name}", "".join(map(str, said))

    def tables(self) -> Iterator[tuple[str, Any]]:
        with connection.cursor() as cursor:
            for table in connection.introspection.table_names(cursor):
                cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
                names = [column[0] for column in cursor.description]
                for row in cursor.fetchall():
                    for name, value in zip(names, row, strict=True):
                        yield f"{table}.{name}", value

    def which_hold(self, needle: str) -> set[str]:
        return {place for place, data in self if holds(data, needle)}


@pytest.fixture
def client(user: User) -> Client:
    """Return a client, and make its user a superuser."""
    User.objects.update(is_staff=True, is_superuser=True)
    client = Client(raise_request_exception=False)
    return client


@pytest.fixture
def places(
    client: Client,
    user: User,
    settings: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Places:
    engine, storage = getattr(request, "param", ("db", STORAGES[0]))
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    # The session store caches the path of the first test.
    monkeypatch.delattr(FileSessionStore, "_storage_path", raising=False)
    settings.MESSAGE_STORAGE = f"django.contrib.messages.storage.{storage}"
    settings.DEBUG = True
    caches["default"].clear()
    for name in ("", "django"):
        caplog.set_level(logging.DEBUG, name)
    client.force_login(user)
    return Places(client, tmp_path, caplog)


each_store = pytest.mark.parametrize(
    "places",
    [(engine, STORAGES[n % 3]) for n, engine in enumerate(ENGINES)],
    indirect=True,
    ids=ENGINES,
)


@each_store
def test_search_finds_a_secret_in_every_place(places: Places, user: User) -> None:
    token = TokenFactory.create(user=user)
    session = places.client.session
    session["planted"] = str(token.secret)
    session.save()
    if site.SESSION_ENGINE.endswith("signed_cookies"):
        places.client.cookies[site.SESSION_COOKIE_NAME] = session.session_key or ""
    caches["default"].set("planted", {"secret": token.secret})
    logging.getLogger("anything").debug("A secret: %s", token.secret)
    logging.getLogger("django.request").debug("A secret: %r", {"secret": str(token.secret)})
    user.last_name = token.secret[10:]
    user.save()

    expected = {"session", "cache", "log anything", "log django.request", "auth_user.last_name"}
    assert places.which_hold(token.secret) >= expected
    store = {
        "db": "django_session.session_data",
        "signed_cookies": "cookies",
        "file": "session file",
    }
    assert store.get(site.SESSION_ENGINE.rpartition(".")[2], "cache") in places.which_hold(
        token.secret
    )


@each_store
@pytest.mark.parametrize("create", CREATORS.values(), ids=CREATORS)
def test_secret_is_only_in_the_creating_response(
    places: Places, create: Callable[[Client], str]
) -> None:
    output = create(places.client)

    token = Token.objects.get()
    secret = find_secret(output)
    assert token == Token.objects.verify(secret)
    assert output.count(secret) == 1
    assert not holds(output, token.digest)
    use(token, secret, places.client)
    assert places.which_hold(secret) == set()
    # The log of all SQL contains the parameters.
    assert places.which_hold(token.digest) - {"log django.db.backends"} == {
        "access_tokens_token.digest",
        "fixture of Token",
    }
    if token.rotated_at:
        assert token.previous_digest
        assert not holds(output, token.previous_digest)
        assert places.which_hold(token.previous_digest) - {"log django.db.backends"} == {
            "access_tokens_token.previous_digest",
            "fixture of Token",
        }


def find_secret(output: str) -> str:
    (secret,) = set(re.findall(r"pat_[0-9A-Za-z]{46}", output))
    return str(secret)


def use(token: Token, secret: str, client: Client) -> None:
    """Use the token in every way, without deleting it."""
    api = Client(headers={"Authorization": f"Bearer {secret}"})
    api.get("/api/me/")
    Client(headers={"Authorization": f"Bearer {secret}x"}).get("/api/me/")
    Client(headers={"Authorization": f"Basic {secret}"}).get("/api/me/")
    client.post(f"{ADMIN}{token.pk}/change/", {"name": "renamed"})
    client.get(f"/account/tokens/{token.pk}/delete/")
    client.get(f"/account/tokens/{token.pk}/rotate/")
    client.post(f"/account/tokens/{token.pk}/end-previous/")
    client.post(f"{ADMIN}{token.pk}/end-previous/")
    client.post(CREATE, {"name": "renamed", "expires_at": ""})


@pytest.mark.parametrize("create", CREATORS.values(), ids=CREATORS)
def test_deleted_token_leaves_no_secret_and_no_digest(
    places: Places, create: Callable[[Client], str]
) -> None:
    secret = find_secret(create(places.client))
    token = Token.objects.get()

    places.client.post(f"/account/tokens/{token.pk}/delete/")
    assert places.which_hold(secret) == set()
    assert places.which_hold(digest_secret(secret)) <= {"log django.db.backends"}


@pytest.mark.parametrize("package", PACKAGES.values(), ids=PACKAGES)
def test_secret_of_another_package_is_only_where_that_package_has_it(
    places: Places, user: User, settings: Settings, package: Package
) -> None:
    settings.ACCESS_TOKENS = {"LEGACY_FORMATS": [package.name]}
    secret = package.issue(user)
    # The SQL that the package sent is in the log.
    places.log.clear()
    before = places.which_hold(secret)
    assert before == (
        {"authtoken_token.key", "fixture of Token", "fixture of TokenProxy"}
        if package.name == "authtoken"
        else set()
    )

    call_command("import_access_tokens", package.name, *package.options)
    token = Token.objects.get()
    assert token == Token.objects.verify(secret)
    use(token, secret, places.client)
    Token.objects.rotate(token)
    use(token, secret, places.client)
    assert places.which_hold(secret) == before


# The pages.


def crawl(client: Client) -> dict[str, str]:
    """Return the headers and the text of every page that is linked, by path."""
    paths = ["/", "/account/tokens/", CREATE, "/admin/", "/api/", "/api/me/", "/api/notes/"]
    pages: dict[str, str] = {}
    while paths:
        path = paths.pop()
        if path in pages:
            continue
        response = client.get(path, headers={"Accept": "text/html"})
        pages[path] = str(response.headers) + response.content.decode()
        links = re.findall(r'(?:href|action)="(/[^"#?]*)', pages[path])
        paths += [link for link in links if not link.startswith("/static/")]
    return pages


@pytest.mark.parametrize("who", ["owner", "staff", "superuser"])
def test_no_page_shows_a_secret_or_a_digest(token: KnownToken, who: str) -> None:
    client = Client(raise_request_exception=False)
    reader = token.user if who == "owner" else UserFactory.create(is_staff=True)
    if who == "staff":
        reader.user_permissions.set(Permission.objects.all())
    elif who == "superuser":
        User.objects.filter(pk=reader.pk).update(is_superuser=True)
    client.force_login(reader)
    client.post(f"{ADMIN}{token.pk}/change/", {"name": "renamed"})

    pages = crawl(client)
    change = f"{ADMIN}{token.pk}/change/"
    assert (change in pages) == (who != "owner")
    assert (f"/account/tokens/{token.pk}/delete/" in pages) == (who == "owner")
    for path, page in pages.items():
        assert not holds(page, token.secret), path
        assert not holds(page, token.digest), path


# Errors.


class Mails(AdminEmailHandler):
    """The e-mails that the site's admins would get."""

    def __init__(self) -> None:
        super().__init__(include_html=True)
        self.sent: list[str] = []

    def send_mail(self, subject: object, message: object, *args: Any, **kwargs: Any) -> None:
        self.sent.append(f"{subject}\n{message}\n{kwargs['html_message']}")


@pytest.fixture
def mails() -> Iterator[Mails]:
    mails = Mails()
    logging.getLogger("django").addHandler(mails)
    yield mails
    logging.getLogger("django").removeHandler(mails)


@pytest.fixture
def frames() -> Iterator[list[str]]:
    """Yield a list of the local variables in all frames of an error, as reports show them."""
    shown: list[str] = []

    def walk(**kwargs: Any) -> None:
        traceback = sys.exc_info()[2]
        while traceback:
            shown.extend(map(repr, traceback.tb_frame.f_locals.values()))
            traceback = traceback.tb_next

    got_request_exception.connect(walk)
    yield shown
    got_request_exception.disconnect(walk)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets every secret that is created from now on."""
    secrets: list[str] = []

    def remember_and_digest(secret: str) -> str:
        secrets.append(str(secret))
        return digest_secret(secret)

    monkeypatch.setattr("access_tokens.crypto.digest_secret", remember_and_digest)
    return secrets


BROKEN = "{% include 'nowhere.html' %}"


@pytest.mark.parametrize(
    "create", [by_page, by_admin, by_rotation_on_the_page, by_rotation_in_the_admin]
)
@pytest.mark.parametrize(
    "source",
    [
        f"{{{{ secret }}}}{BROKEN}",
        f"{{% with shown=secret %}}{{{{ shown }}}}{BROKEN}{{% endwith %}}",
        "{% load access_tokens %}{{ secret }}{{ secret|token_badges }}",
    ],
)
def test_failing_template_reveals_no_secret(
    client: Client,
    user: User,
    settings: Settings,
    tmp_path: Path,
    mails: Mails,
    frames: list[str],
    known: list[str],
    source: str,
    create: Callable[[Client], str],
) -> None:
    settings.DEBUG = True
    tmp_path.joinpath("access_tokens").mkdir()
    tmp_path.joinpath("access_tokens/_reveal.html").write_text(source)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    client.force_login(user)

    page = create(client)
    secret = known[-1]
    assert frames
    assert mails.sent
    for shown in (page, *mails.sent, *frames):
        assert not holds(shown, secret)


@pytest.mark.parametrize("create", [by_page, by_admin])
@pytest.mark.parametrize("where", ["post_save", "database"])
def test_failing_creation_reveals_no_secret(
    client: Client,
    user: User,
    settings: Settings,
    mails: Mails,
    frames: list[str],
    known: list[str],
    where: str,
    create: Callable[[Client], str],
) -> None:
    settings.DEBUG = True
    client.force_login(user)

    def fail(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError("The disk is full.")

    def fail_on_insert(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("INSERT INTO") and "access_tokens_token" in sql:
            fail()
        return execute(sql, *args)

    if where == "post_save":
        post_save.connect(fail, sender=Token)
        page = create(client)
        post_save.disconnect(fail, sender=Token)
    else:
        with connection.execute_wrapper(fail_on_insert):
            page = create(client)

    (secret,) = known
    assert frames
    assert mails.sent
    for shown in (page, *mails.sent, *frames):
        assert not holds(shown, secret)
    assert not Token.objects.exists()


# An error report looks at query sets, which a broken transaction of the test would forbid.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("rotate", [by_rotation_on_the_page, by_rotation_in_the_admin])
def test_failing_rotation_reveals_no_secret(
    client: Client,
    user: User,
    settings: Settings,
    mails: Mails,
    frames: list[str],
    known: list[str],
    rotate: Callable[[Client], str],
) -> None:
    settings.DEBUG = True
    client.force_login(user)

    def fail_on_update(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("UPDATE") and "previous_digest" in sql:
            raise DatabaseError("The disk is full.")
        return execute(sql, *args)

    with connection.execute_wrapper(fail_on_update):
        page = rotate(client)

    old, new = known
    assert frames
    assert mails.sent
    for shown in (page, *mails.sent, *frames):
        assert not holds(shown, old)
        assert not holds(shown, new)


@pytest.mark.parametrize("create", CREATORS.values(), ids=CREATORS)
def test_secret_is_shown_only_to_the_user_when_a_receiver_fails(
    client: Client,
    user: User,
    mails: Mails,
    create: Callable[[Client], str],
    fail_on: Callable[[Any], None],
) -> None:
    client.force_login(user)
    fail_on(token_created)
    fail_on(token_rotated)

    secret = find_secret(create(client))
    assert Token.objects.verify(secret)
    assert mails.sent
    for mail in mails.sent:
        assert "The receiver failed." in mail
        assert not holds(mail, secret)


def test_secret_is_not_in_a_header_a_cookie_or_the_title(client: Client, user: User) -> None:
    client.force_login(user)

    response = client.post(CREATE, {"name": "swept", "expires_at": ""})
    secret = find_secret(response.content.decode())
    assert not holds(response.headers, secret)
    assert not holds(response.cookies.output(), secret)
    assert secret not in Page(response).title
