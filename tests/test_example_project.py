import re
import runpy
import socket
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

import example_project
from access_tokens.models import Token
from example_project.context_processors import LOOKS

from .factories import KnownToken
from .html import Page

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(token: KnownToken) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token.secret}")
    return client


@pytest.mark.parametrize("path", ["/", "/account/login/", "/admin/login/"])
def test_public_page_is_served(client: Client, path: str) -> None:
    assert client.get(path).status_code == HTTPStatus.OK


def test_single_page_gets_the_cookie_that_the_api_asks_for(client: Client) -> None:
    assert "csrftoken" in client.get("/single-page/").cookies


def test_single_page_stays_short() -> None:
    files = Path(example_project.__file__).parent.rglob("single[-_]page.*")
    assert sum(len(file.read_text().splitlines()) for file in files) < 200


@pytest.mark.parametrize(
    "path", ["/", "/account/tokens/", "/account/tokens/new/", "/admin/", "/api/"]
)
def test_page_is_served_to_staff(admin_client: Client, path: str) -> None:
    assert admin_client.get(path).status_code == HTTPStatus.OK


def test_only_staff_see_the_link_to_the_admin(
    client: Client, admin_client: Client, user: User
) -> None:
    client.force_login(user)

    assert b'href="/admin/"' in admin_client.get("/").content
    assert b'href="/admin/"' not in client.get("/").content


def test_user_logs_in_and_out(client: Client) -> None:
    User.objects.create_user("eve", password="eve")

    client.post("/account/login/", {"username": "eve", "password": "eve"})
    assert b"Signed in as" in client.get("/").content

    client.post("/account/logout/")
    assert b"Signed in as" not in client.get("/").content


# The looks.


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("path", ["/", "/account/login/", "/account/tokens/"])
def test_every_page_has_every_look(admin_client: Client, path: str, look: str) -> None:
    admin_client.cookies["look"] = look

    page = Page(admin_client.get(path))

    assert page.text("button[@name='look'][@aria-current]") == LOOKS[look]


@pytest.mark.parametrize(("name", "value"), [("look", "bulma"), ("theme", "dark")])
def test_choice_is_remembered(client: Client, name: str, value: str) -> None:
    response = client.post("/look/", {name: value, "next": "/account/login/"})

    assert response["Location"] == "/account/login/"
    page = Page(client.get("/"))
    assert page.one(f"button[@name='{name}'][@aria-current]").get("value") == value


@pytest.mark.parametrize("name", ["look", "theme"])
def test_unknown_choice_is_ignored(client: Client, name: str) -> None:
    response = client.post("/look/", {name: "../../admin/base", "next": "https://example.com/"})

    assert response["Location"] == "/"
    assert not response.cookies


def test_unknown_look_in_a_cookie_is_ignored(client: Client) -> None:
    client.cookies["look"] = "../../admin/base"

    page = Page(client.get("/"))

    assert page.text("button[@name='look'][@aria-current]") == "Own"


def test_look_is_not_changed_by_a_link(client: Client) -> None:
    assert client.get("/look/?look=bulma").status_code == HTTPStatus.METHOD_NOT_ALLOWED


def test_browsable_api_is_served_to_a_browser(admin_client: Client) -> None:
    response = admin_client.get("/api/notes/", headers={"accept": "text/html"})

    assert response["Content-Type"].startswith("text/html")


def test_index_lists_the_endpoints(api: APIClient) -> None:
    assert list(api.get("/api/").data) == ["me", "notes", "reports", "error"]


def test_me_names_the_user_and_the_token(api: APIClient) -> None:
    assert api.get("/api/me/").data == {"username": "ada", "token": "laptop"}


def test_me_names_no_token_for_a_session(admin_client: Client) -> None:
    assert admin_client.get("/api/me/").json() == {"username": "admin", "token": None}


def test_api_refuses_a_request_without_a_token(client: Client) -> None:
    assert client.get("/api/me/").status_code == HTTPStatus.UNAUTHORIZED


def test_note_is_created_and_read(api: APIClient) -> None:
    assert api.post("/api/notes/", {"text": "Tea."}).status_code == HTTPStatus.CREATED
    assert [note["text"] for note in api.get("/api/notes/").data] == ["Tea."]


def test_notes_of_others_are_not_listed(api: APIClient, admin_client: Client) -> None:
    api.post("/api/notes/", {"text": "Tea."})

    assert admin_client.get("/api/notes/").json() == []


def test_report_needs_its_scope(api: APIClient, token: KnownToken, settings: Settings) -> None:
    api.post("/api/notes/", {"text": "Tea."})
    assert api.get("/api/reports/").data == {"notes": 1}

    settings.ACCESS_TOKENS = {"SCOPES": {"read": "Read", "write": "Write", "reports": "Reports"}}
    for scopes, status in [("write", HTTPStatus.FORBIDDEN), ("reports", HTTPStatus.OK)]:
        Token.objects.update(scopes=scopes)
        assert api.get("/api/reports/").status_code == status


def test_scopes_are_switched_on_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(example_project.__file__).with_name("settings.py")
    assert "SCOPES" not in runpy.run_path(str(path))["ACCESS_TOKENS"]

    monkeypatch.setenv("SCOPES", "1")
    assert list(runpy.run_path(str(path))["ACCESS_TOKENS"]["SCOPES"]) == [
        "read",
        "write",
        "reports",
    ]


def test_empty_note_is_refused(api: APIClient) -> None:
    assert api.post("/api/notes/").status_code == HTTPStatus.BAD_REQUEST


def test_error_endpoint_fails(api: APIClient) -> None:
    response = api.get("/api/error/")

    assert response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR


# The demo.


@pytest.fixture
def demo() -> Iterator[mock.Mock]:
    """Run the demo without serving."""
    with mock.patch("example_project.management.commands.demo.call_command") as called:
        call_command("demo", 0)
        yield called


def test_demo_serves(demo: mock.Mock) -> None:
    assert demo.mock_calls[-1] == mock.call("runserver", "127.0.0.1:0", use_reloader=False)


def test_demo_says_how_to_start(capsys: pytest.CaptureFixture[str], demo: mock.Mock) -> None:
    output = capsys.readouterr().out
    assert "http://127.0.0.1:0/" in output
    for user in User.objects.all():
        assert re.search(rf"^  {user.username} +{user.username} ", output, re.MULTILINE)
        assert user.check_password(user.username)
    assert "curl -H" in output


@pytest.mark.parametrize("username", ["ada", "demo", "admin"])
@pytest.mark.usefixtures("demo")
def test_one_click_logs_a_visitor_in(client: Client, username: str) -> None:
    home = Page(client.get("/"))
    (form,) = (
        {field.get("name"): field.get("value") for field in form.iterfind(".//input")}
        for form in home.all("form[@action='/account/login/']")
        if form.find(f".//input[@value='{username}']") is not None
    )

    response = client.post("/account/login/", form, follow=True)

    assert response.status_code == HTTPStatus.OK
    assert response.wsgi_request.user.get_username() == username


@pytest.mark.parametrize(
    "state",
    [
        "Never",
        "3 minutes ago",
        "Expires in 3 days",
        "Expired",
        "No expiration",
        "Unused for 234 days",
        "works until the new one is used",
        r"works until \w+\.? \d+, ",
        "Full access",
        "Run reports",
    ],
)
@pytest.mark.usefixtures("demo")
def test_demo_shows_a_token_in_the_state(client: Client, settings: Settings, state: str) -> None:
    settings.ACCESS_TOKENS = {
        "SCOPES": {"read": "Read", "write": "Read and write", "reports": "Run reports"}
    }
    client.force_login(User.objects.get(username="ada"))

    assert re.search(state, Page(client.get("/account/tokens/")).text("table"))


def test_demo_has_a_user_without_a_token(demo: mock.Mock) -> None:
    assert not Token.objects.filter(user__username="demo").exists()


def test_next_demo_renews_the_tokens_of_the_demo_alone(demo: mock.Mock) -> None:
    Token.objects.all().update(last_used_at=None)
    ada = User.objects.get(username="ada")
    mine, _ = ada.access_tokens.create_token(name="mine")
    names = set(ada.access_tokens.values_list("name", flat=True))

    call_command("demo", 0)

    assert set(ada.access_tokens.values_list("name", flat=True)) == names
    assert ada.access_tokens.filter(pk=mine.pk).exists()
    assert ada.access_tokens.exclude(last_used_at=None).exists()
    assert User.objects.count() == 3


def test_demo_names_a_busy_port_and_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(CommandError, match=f"Port {port} is in use") as refused:
            call_command("demo", port)
    free = int(str(refused.value).rpartition("=")[2])
    assert free != port
    socket.create_server(("127.0.0.1", free)).close()


@pytest.mark.parametrize("port", [-1, 65_536])
def test_demo_refuses_what_is_no_port(port: int) -> None:
    with pytest.raises(CommandError, match=r"not allowed.* PORT=\d+$"):
        call_command("demo", port=port)
