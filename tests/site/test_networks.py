"""Data of a site's own, and a check that uses it, as in the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.db.models.signals import pre_save
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access_tokens.models import Token
from tests.factories import KnownToken, TokenFactory
from tests.html import Page

AllowedNetwork: Any = apps.get_app_config("networks").get_model("AllowedNetwork")
NEW = "/account/tokens/new/"
LIST = "/admin/access_tokens/token/"
ADD = f"{LIST}add/"


def create(client: Client, url: str, network: str) -> Page:
    user = client.session["_auth_user_id"]
    data = {"name": "CI", "expires_at": "", "user": user, "network": network}
    return Page(client.post(url, data, follow=True))


@pytest.fixture
def limited(token: KnownToken) -> KnownToken:
    AllowedNetwork.objects.create(token=token, network="192.0.2.0/24")
    return token


@pytest.fixture
def refuse() -> Iterator[None]:
    def fail(**kwargs: Any) -> None:
        raise ValidationError("Not now.")

    pre_save.connect(fail, sender=AllowedNetwork)
    yield
    pre_save.disconnect(fail, sender=AllowedNetwork)


def test_site_passes_its_checks() -> None:
    call_command("check", fail_level="WARNING")


@pytest.mark.parametrize("url", [NEW, ADD])
@pytest.mark.parametrize(("network", "stored"), [("192.0.2.0/24", ["192.0.2.0/24"]), ("", [])])
def test_page_and_admin_store_the_network(
    admin_client: Client, url: str, network: str, stored: list[str]
) -> None:
    page = create(admin_client, url, network)

    token = Token.objects.get()
    assert page.text("code[@tabindex]").endswith(token.partial[-4:])
    assert [str(row) for row in AllowedNetwork.objects.filter(token=token)] == stored


@pytest.mark.parametrize("url", [NEW, ADD])
def test_page_and_admin_refuse_what_is_no_network(admin_client: Client, url: str) -> None:
    page = create(admin_client, url, "192.0.2.1/24")

    assert "Enter a network, for example 192.0.2.0/24." in page.body
    assert not Token.objects.exists()


@pytest.mark.usefixtures("refuse")
@pytest.mark.parametrize(("url", "text"), [(NEW, "Not now."), (ADD, "Nothing was saved")])
def test_token_is_not_created_without_its_network(
    admin_client: Client, url: str, text: str
) -> None:
    page = create(admin_client, url, "192.0.2.0/24")

    assert text in page.body
    assert not Token.objects.exists()


@pytest.mark.parametrize(
    ("network", "stored"),
    [("198.51.100.0/24", "198.51.100.0/24"), ("192.0.2.1/24", "192.0.2.0/24")],
)
def test_admin_changes_the_network_but_only_to_a_network(
    admin_client: Client, limited: KnownToken, network: str, stored: str
) -> None:
    url = f"{LIST}{limited.pk}/change/"
    fields = Page(admin_client.get(url)).all("input[@name]")
    data = {field.attrib["name"]: field.attrib.get("value", "") for field in fields}
    admin_client.post(url, data | {"allowed_network-0-network": network})

    assert AllowedNetwork.objects.get(token=limited).network == stored


def test_list_of_the_admin_shows_the_network(admin_client: Client, limited: KnownToken) -> None:
    TokenFactory.create(user=limited.user)

    assert Page(admin_client.get(LIST)).texts("td[@class='field-network']") == [
        "Any",
        "192.0.2.0/24",
    ]


def test_list_of_the_admin_costs_no_query_per_token(
    admin_client: Client, limited: KnownToken
) -> None:
    numbers = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            admin_client.get(LIST)
        numbers.append(len(queries))
        TokenFactory.create(user=limited.user)
    assert numbers[0] == numbers[1]


def test_network_is_deleted_with_its_token(client: Client, limited: KnownToken) -> None:
    client.force_login(limited.user)
    client.post(f"/account/tokens/{limited.pk}/delete/")

    assert not Token.objects.exists()
    assert not AllowedNetwork.objects.exists()


# The check.


def call(token: KnownToken, address: str | None) -> int:
    headers = {"authorization": f"Bearer {token.secret}"}
    return Client().get("/api/me/", headers=headers, REMOTE_ADDR=address).status_code


@pytest.mark.parametrize(
    ("address", "status"),
    [("192.0.2.7", 200), ("198.51.100.7", 403), ("2001:db8::7", 403), ("", 403), (None, 403)],
)
def test_limited_token_gives_access_from_its_network_alone(
    limited: KnownToken, address: str | None, status: int
) -> None:
    assert call(limited, address) == status
    limited.refresh_from_db()
    assert (limited.last_used_at is not None) == (status == 200)


@pytest.mark.parametrize("address", ["198.51.100.7", None])
def test_other_token_gives_access_from_everywhere(limited: KnownToken, address: str | None) -> None:
    assert call(TokenFactory.create(user=limited.user), address) == 200


def test_session_gives_access_from_everywhere(client: Client, limited: KnownToken) -> None:
    client.force_login(limited.user)

    assert client.get("/api/me/", REMOTE_ADDR="198.51.100.7").status_code == 200
