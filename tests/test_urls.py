import pytest
from django.urls import resolve, reverse

from access_tokens.urls import app_name, urlpatterns


@pytest.mark.parametrize(
    ("name", "args", "path"),
    [
        ("list", [], ""),
        ("create", [], "new/"),
        ("rotate", [7], "7/rotate/"),
        ("end_previous", [7], "7/end-previous/"),
        ("delete", [7], "7/delete/"),
    ],
)
def test_url_has_its_name(name: str, args: list[int], path: str) -> None:
    assert reverse(f"access_tokens:{name}", args=args) == f"/account/tokens/{path}"


def test_there_are_no_other_urls() -> None:
    assert [pattern.name for pattern in urlpatterns] == [
        "list",
        "create",
        "rotate",
        "end_previous",
        "delete",
    ]
    assert app_name == "access_tokens"


def test_site_chooses_the_prefix() -> None:
    assert resolve("/account/tokens/").view_name == "access_tokens:list"
