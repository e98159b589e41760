from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, models
from django.db.models import Model
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext, isolate_apps
from django.utils import timezone
from pytest_django import Settings

from access_tokens.admin import TokenAdmin
from access_tokens.forms import TokenChangeForm, TokenForm, TokenRotateForm
from access_tokens.limits import end_of_day
from access_tokens.models import Token
from access_tokens.views import TokenCreateView
from example_project.models import Note

from .factories import KnownToken, TokenFactory, UserFactory
from .html import Page, text

LIST = "/admin/access_tokens/token/"
NOTHING_SAVED = "Nothing was saved, because something changed at the same time. Try again."
ADD = f"{LIST}add/"
BUTTONS = ["_save", "_addanother", "_continue", "_saveasnew", "_popup"]


def change_url(token: Token) -> str:
    return f"{LIST}{token.pk}/change/"


def staff(*permissions: str, **fields: Any) -> Client:
    """Return the client of a staff user who has these permissions alone."""
    user = UserFactory.create(is_staff=True, **fields)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def user_of(client: Client) -> User:
    return User.objects.get(pk=client.session["_auth_user_id"])


def add(client: Client, owner: User, **data: str) -> Any:
    fields = {"name": "laptop", "user": str(owner.pk), "expires_at": ""}
    return client.post(ADD, fields | data)


def errors(response: Any) -> list[str]:
    return Page(response).texts("ul[@class='errorlist']/li") + Page(response).texts(
        "ul[@class='errorlist nonfield']/li"
    )


def messages(client: Client) -> list[str]:
    return Page(client.get("/admin/")).texts("ul[@class='messagelist']/li")


# The list.


def listed(client: Client, **query: str) -> list[str]:
    return Page(client.get(LIST, query)).texts("th[@class='field-name']")


def test_list_has_its_columns(admin_client: Client, token: KnownToken) -> None:
    page = Page(admin_client.get(LIST))

    titles = ["Name", "User", "Token", "Created date", "Last used", "Expires"]
    assert page.texts("thead/tr/th/div[@class='text']")[-6:] == titles
    assert page.text("td[@class='field-token']") == token.partial
    assert page.text("td[@class='field-last_used']") == "Never"
    assert page.text("td[@class='field-expires_at nowrap']") == "Never"


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("never_used", {"new", "old", "expired", "expires"}),
        ("unused", {"old", "idle"}),
        ("expired", {"expired"}),
        ("no_expiry", {"new", "old", "idle", "busy"}),
        ("nonsense", {"new", "old", "idle", "busy", "expired", "expires"}),
    ],
)
def test_filter_shows_its_tokens_alone(admin_client: Client, state: str, names: set[str]) -> None:
    now = timezone.now()
    day = timedelta(days=1)
    TokenFactory.create(name="new")
    TokenFactory.create(name="old", created_at=now - 90 * day)
    TokenFactory.create(name="idle", created_at=now - 99 * day, last_used_at=now - 90 * day)
    TokenFactory.create(name="busy", created_at=now - 99 * day, last_used_at=now - 89 * day)
    TokenFactory.create(name="expired", expires_at=now - day)
    TokenFactory.create(name="expires", expires_at=now + day)

    assert set(listed(admin_client, state=state)) == names


def test_nothing_is_said_of_uses_that_are_not_recorded(
    admin_client: Client, token: KnownToken, settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"LAST_USED_RESOLUTION": None}

    page = Page(admin_client.get(LIST))
    assert page.text("td[@class='field-last_used']") == "Not recorded"
    states = ["All", "Expired", "No expiration"]
    assert page.texts("details[@data-filter-title='state']/ul/li") == states
    assert listed(admin_client, state="unused") == ["laptop"]
    change = Page(admin_client.get(change_url(token)))
    assert "Not recorded" in change.texts("div[@class='readonly']")


def test_filter_offers_four_states(admin_client: Client, token: KnownToken) -> None:
    page = Page(admin_client.get(LIST))

    states = ["All", "Never used", "Unused for 90 days", "Expired", "No expiration"]
    assert page.texts("details[@data-filter-title='state']/ul/li") == states


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("lap", ["laptop"]),
        ("grace", ["server"]),
        ("{partial}", ["laptop"]),
        ("{digest}", []),
        ("{digest:.20}", []),
        ("sha256", []),
        ("{secret}", []),
    ],
)
def test_search_is_by_name_partial_and_user(
    admin_client: Client, token: KnownToken, words: str, names: list[str]
) -> None:
    TokenFactory.create(user__username="grace", name="server")

    query = words.format(partial=token.partial, digest=token.digest, secret=token.secret)
    assert listed(admin_client, q=query) == names


def test_list_costs_a_constant_number_of_queries(admin_client: Client) -> None:
    TokenFactory.create()
    with CaptureQueriesContext(connection) as for_one:
        assert len(listed(admin_client)) == 1

    TokenFactory.create_batch(30)
    with CaptureQueriesContext(connection) as for_many:
        assert len(listed(admin_client)) == 31

    assert len(for_one) == len(for_many)


@pytest.mark.parametrize("url", ["", "{pk}/change/", "{pk}/history/", "{pk}/delete/"])
def test_page_does_not_select_the_digest(admin_client: Client, token: KnownToken, url: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert admin_client.get(LIST + url.format(pk=token.pk)).status_code == HTTPStatus.OK

    assert "digest" not in str(queries.captured_queries)


# No lookup shows anything of a digest.


def paths_to_token(model: type[Model], depth: int = 3) -> Iterator[str]:
    """Yield the lookup paths by which a model leads to ``Token``."""
    for field in model._meta.get_fields():
        related: Any = field.related_model
        if not related or depth == 0:
            continue
        if related is Token:
            yield field.name
        for path in paths_to_token(related, depth - 1):
            yield f"{field.name}__{path}"


LOOKUPS = sorted(Token._meta.get_field("digest").get_lookups())
PATHS = [
    (model, prefix)
    for model in admin.site._registry
    for prefix in ([""] if model is Token else []) + [f"{path}__" for path in paths_to_token(model)]
]


def test_paths_of_every_admin_are_tried() -> None:
    assert {model.__name__ for model, _ in PATHS} >= {"Token", "User", "Group"}
    assert (User, "access_tokens__") in PATHS
    assert (Token, "user__access_tokens__") in PATHS
    assert {"exact", "startswith", "regex", "in", "gt"} <= set(LOOKUPS)


@pytest.mark.parametrize(("model", "prefix"), PATHS)
def test_digest_cannot_be_guessed(
    admin_client: Client, token: KnownToken, model: type[Model], prefix: str
) -> None:
    url = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    lookups = ["exact", "startswith", "regex", "gt", "in"] if prefix else LOOKUPS
    for lookup in ["", *(f"__{name}" for name in lookups), "__lower__startswith"]:
        response = admin_client.get(url, {f"{prefix}digest{lookup}": token.digest})
        assert response.status_code == HTTPStatus.BAD_REQUEST, f"{prefix}digest{lookup}"


@pytest.mark.parametrize("key", ["_to_field", "o", "_facets", "p", "all", "_changelist_filters"])
def test_digest_is_no_option_of_the_list(admin_client: Client, token: KnownToken, key: str) -> None:
    TokenFactory.create()
    plain = admin_client.get(LIST)

    response = admin_client.get(LIST, {key: "digest"})
    assert response.status_code != HTTPStatus.OK or listed(admin_client, **{key: "digest"}) == Page(
        plain
    ).texts("th[@class='field-name']")
    assert token.digest not in response.content.decode()


@pytest.mark.parametrize(("term", "names"), [("lap", ["laptop"]), ("sha256", []), ("{0}", [])])
def test_autocompletion_knows_no_digest(
    admin_client: Client, token: KnownToken, term: str, names: list[str]
) -> None:
    # A model of the site may refer to tokens: this is what its admin would ask.
    view = AutocompleteJsonView(model_admin=admin.site.get_model_admin(Token))
    view.term = term.format(token.digest)
    view.source_field = Token._meta.get_field("user")
    view.request = RequestFactory().get("/")

    results = [view.serialize_result(obj, "pk") for obj in view.get_queryset()]
    assert [result["text"] for result in results] == names
    assert token.digest not in str(results)


# Adding.


def test_added_token_is_revealed_once(admin_client: Client, user: User) -> None:
    response = add(admin_client, user)

    assert response.status_code == HTTPStatus.OK
    page = Page(response)
    secret = page.text("div[@data-at-secret]/code")
    token = Token.objects.verify(secret)
    assert (token.user, token.name, token.expires_at) == (user, "laptop", None)
    assert page.html.count(secret) == 1
    assert page.texts("h1") == ["Copy your new token"]
    assert "This is the only time the token is shown." in page.texts("strong")
    assert page.one("a[@data-at-done]").get("href") == LIST
    assert list(page.inline_code()) == []


def test_reveal_has_its_heading_where_a_theme_shows_no_title(
    admin_client: Client, user: User, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "admin").mkdir()
    (tmp_path / "admin/base_site.html").write_text(
        "<!DOCTYPE html><title>Theme</title><h3>{% block content_title %}{% endblock %}</h3>"
        "{% block content %}{% endblock %}"
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    assert Page(add(admin_client, user)).text("h3") == "Copy your new token"


def test_reveal_is_not_stored(admin_client: Client, user: User) -> None:
    before = dict(admin_client.session)

    response = add(admin_client, user)
    assert {"no-store", "private"} <= set(response["Cache-Control"].split(", "))
    assert dict(admin_client.session) == before
    assert response.cookies.keys() == {"csrftoken"}
    assert messages(admin_client) == []


@pytest.mark.parametrize("button", BUTTONS)
def test_no_button_leads_past_the_reveal(admin_client: Client, user: User, button: str) -> None:
    response = add(admin_client, user, **{button: "1"})

    secret = Page(response).text("div[@data-at-secret]/code")
    assert Token.objects.verify(secret).user == user


def test_form_offers_to_save_alone(admin_client: Client) -> None:
    page = Page(admin_client.get(ADD))

    assert page.all("input[@name='_save']")
    assert not page.all("input[@name='_addanother']") + page.all("input[@name='_continue']")


@time_machine.travel("2026-11-24 12:00:00Z", tick=False)
def test_expiration_is_chosen_as_on_the_page(admin_client: Client, user: User) -> None:
    page = Page(admin_client.get(ADD))
    add(admin_client, user, expires_at="7")

    assert page.one("select[@name='expires_at']/option[@selected]").get("value") == "90"
    assert Token.objects.get().expires_at == end_of_day(7)


def test_form_without_choices_has_no_expiration(
    admin_client: Client, user: User, settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"EXPIRY_DAYS": []}

    assert not Page(admin_client.get(ADD)).all("select[@name='expires_at']")
    add(admin_client, user)
    assert Token.objects.get().expires_at is None


class UsageForm(TokenForm):
    usage = forms.CharField()

    def save(self, commit: bool = True) -> Token:
        token = super().save(commit)
        if commit:
            Note.objects.create(user=token.user, text=f"{token.pk}: {self.cleaned_data['usage']}")
        return token


@pytest.mark.parametrize("url", [ADD, "/account/tokens/new/"])
def test_field_of_a_subclass_is_stored_by_page_and_admin(
    admin_client: Client, admin_user: User, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(TokenAdmin, "add_form", UsageForm)
    monkeypatch.setattr(TokenCreateView, "form_class", UsageForm)

    assert Page(admin_client.get(url)).all("input[@name='usage']")
    data = {"name": "laptop", "user": admin_user.pk, "expires_at": "", "usage": "builds"}
    response = admin_client.post(url, data)
    token = Token.objects.verify(Page(response).text("div[@data-at-secret]/code"))
    assert Note.objects.get().text == f"{token.pk}: builds"


@pytest.mark.parametrize("text", ["", "builds"])
@isolate_apps("example_project")
def test_token_is_created_only_with_its_inlines(
    admin_client: Client, user: User, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    saved = []

    class Label(models.Model):
        token = models.OneToOneField(Token, models.DO_NOTHING, related_name="+")
        text = models.CharField(max_length=10)

        class Meta:
            app_label = "example_project"

        def __str__(self) -> str:
            return self.text

        def save(self, *args: Any, **kwargs: Any) -> None:
            saved.append(self.token)

    class LabelInline(admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs alone
        model = Label
        min_num = 1

    monkeypatch.setattr(TokenAdmin, "inlines", [LabelInline])
    # The admin numbers an inline whose relation has no name.
    inline = {"-1-TOTAL_FORMS": "1", "-1-INITIAL_FORMS": "0", "-1-0-text": text}
    response = add(admin_client, user, **inline)

    assert list(Token.objects.all()) == saved
    assert len(saved) == Page(response).html.count("data-at-secret") == (1 if text else 0)


@pytest.mark.parametrize("name", ["", "  ", "a" * 101, "a\nb", "\u202ea", "\u200b"])
def test_bad_name_is_refused(admin_client: Client, user: User, name: str) -> None:
    assert len(errors(add(admin_client, user, name=name))) == 1
    assert not Token.objects.exists()


def test_taken_name_is_refused(admin_client: Client, token: KnownToken) -> None:
    assert errors(add(admin_client, token.user)) == [
        "This user already has a token named “laptop”. Choose another name."
    ]
    assert Token.objects.get() == token


def test_inactive_user_is_refused(admin_client: Client, user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)

    assert errors(add(admin_client, user)) == ["The user is inactive."]
    assert not Token.objects.exists()


def test_name_that_is_taken_meanwhile_is_an_error_message(
    admin_client: Client,
    token: KnownToken,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class FormThatSawItFree(TokenForm):
        def _get_validation_exclusions(self) -> set[str]:
            return {*super()._get_validation_exclusions(), "user"}  # type: ignore[misc]  # private

    monkeypatch.setattr(TokenAdmin, "add_form", FormThatSawItFree)
    response = add(admin_client, token.user)

    assert response["Location"] == ADD
    assert messages(admin_client) == [NOTHING_SAVED]
    assert f"Token None of user {token.user.pk} was refused." in caplog.text
    assert Token.objects.get() == token
    assert not LogEntry.objects.exists()


def test_limit_is_said_at_the_form(
    admin_client: Client, token: KnownToken, settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"MAX_TOKENS_PER_USER": 1}

    response = add(admin_client, token.user, name="other")
    assert errors(response) == ["This user has reached the limit of 1 token."]
    assert Page(response).one("input[@name='name']").get("value") == "other"
    assert Token.objects.count() == 1
    assert Page(add(admin_client, user_of(admin_client))).all("div[@data-at-secret]")


def test_expiration_is_limited(admin_client: Client, user: User, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"MAX_EXPIRY_DAYS": 30}

    assert len(errors(add(admin_client, user, expires_at=""))) == 1
    assert "at most 30 days from now" in Page(admin_client.get(ADD)).body
    assert Page(add(admin_client, user, expires_at="30")).all("div[@data-at-secret]")


def test_owner_is_preselected(admin_client: Client, admin_user: User) -> None:
    page = Page(admin_client.get(ADD))

    assert page.one("input[@name='user']").get("value") == str(admin_user.pk)


# Who may.


def test_staff_add_tokens_for_themselves_alone(user: User) -> None:
    client = staff("add_token")
    superuser = UserFactory.create(is_superuser=True, is_staff=True)

    assert [
        option.get("value") for option in Page(client.get(ADD)).all("select[@name='user']/option")
    ] == [str(user_of(client).pk)]
    for other in (user, superuser):
        assert "Select a valid choice." in errors(add(client, other))[0]
    assert not Token.objects.exists()
    secret = Page(add(client, user_of(client))).text("div[@data-at-secret]/code")
    assert Token.objects.verify(secret).user == user_of(client)


def test_reveal_leads_where_staff_may_go(db: None) -> None:
    client = staff("add_token")

    url = Page(add(client, user_of(client))).one("a[@data-at-done]").attrib["href"]
    assert client.get(url).status_code == HTTPStatus.OK


def test_superuser_adds_tokens_for_any_user(admin_client: Client, user: User) -> None:
    other = UserFactory.create(is_superuser=True)

    for owner in (user, other):
        secret = Page(add(admin_client, owner)).text("div[@data-at-secret]/code")
        assert Token.objects.verify(secret).user == owner


@pytest.mark.parametrize(
    ("permissions", "allowed"),
    [
        ([], set()),
        (["view_user", "change_user"], set()),
        (["view_token"], {"", "{pk}/change/", "{pk}/history/"}),
        (["add_token"], {"add/"}),
        (["change_token"], {"", "{pk}/change/", "{pk}/history/"}),
        (["delete_token"], {"{pk}/delete/"}),
    ],
)
def test_permission_opens_its_pages(
    token: KnownToken, permissions: list[str], allowed: set[str]
) -> None:
    client = staff(*permissions)

    urls = ["", "add/", "{pk}/change/", "{pk}/history/", "{pk}/delete/"]
    opened = {url for url in urls if client.get(LIST + url.format(pk=token.pk)).status_code == 200}
    assert opened == allowed


def test_token_does_not_open_the_admin(token: KnownToken) -> None:
    User.objects.update(is_staff=True, is_superuser=True)
    client = Client(headers={"Authorization": f"Bearer {token.secret}"})

    assert client.get(LIST).status_code == HTTPStatus.FOUND


# Changing.


def row(token: Token) -> dict[str, Any]:
    return dict(Token.objects.filter(pk=token.pk).values().get())


def test_only_the_name_can_be_changed(admin_client: Client, token: KnownToken) -> None:
    before = row(token)
    other = UserFactory.create()
    posted = {
        "id": "999",
        "pk": "999",
        "name": "server",
        "user": str(other.pk),
        "user_id": str(other.pk),
        "digest": "sha256$0",
        "partial": "pat_0000…0000",
        "created_at": "2000-01-01 00:00:00",
        "last_used_at": "2000-01-01 00:00:00",
        "expires_at": "2099-01-01 00:00:00",
        "scopes": "write",
        "expiry_notice": "7",
        "rotated_at": "2000-01-01 00:00:00",
        "previous_digest": "sha256$0",
        "previous_partial": "pat_0000…0000",
        "previous_expires_at": "2099-01-01 00:00:00",
        "previous_ends_at": "2099-01-01 00:00:00",
    }
    assert posted.keys() >= {field.attname for field in Token._meta.concrete_fields}
    split = {
        f"{key}_{n}": value.split()[n]
        for key, value in posted.items()
        if " " in value
        for n in (0, 1)
    }

    admin_client.post(change_url(token), posted | split)
    assert row(token) == before | {"name": "server"}


def test_form_asks_for_the_name_alone(admin_client: Client, token: KnownToken) -> None:
    page = Page(admin_client.get(change_url(token)))

    fields = {
        e.get("name") for e in itertools.chain(page.all("form/div//input"), page.all("select"))
    }
    assert {name for name in fields if name and not name.startswith(("_", "csrf"))} == {"name"}
    assert token.partial in page.texts("div[@class='readonly']")


def test_who_may_only_view_changes_nothing(token: KnownToken) -> None:
    client = staff("view_token")

    assert client.post(change_url(token), {"name": "x"}).status_code == HTTPStatus.FORBIDDEN
    assert row(token)["name"] == "laptop"


def test_rename_keeps_a_use_that_was_recorded_meanwhile(
    admin_client: Client, token: KnownToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()

    class SlowForm(TokenChangeForm):
        def clean_name(self) -> str:
            Token.objects.update(last_used_at=now)
            return super().clean_name()

    monkeypatch.setattr(TokenAdmin, "form", SlowForm)
    admin_client.post(change_url(token), {"name": "server"})

    assert (row(token)["name"], row(token)["last_used_at"]) == ("server", now)


def test_rename_does_not_bring_back_a_token_that_was_deleted_meanwhile(
    admin_client: Client, token: KnownToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowForm(TokenChangeForm):
        def clean_name(self) -> str:
            name = super().clean_name()
            Token.objects.filter(pk=token.pk).update(id=token.pk + 1)  # gone, for this request
            return name

    monkeypatch.setattr(TokenAdmin, "form", SlowForm)
    admin_client.post(change_url(token), {"name": "server"})

    assert messages(admin_client) == [NOTHING_SAVED]
    assert Token.objects.get().name == "laptop"
    assert not LogEntry.objects.exists()


def test_rename_to_a_taken_name_is_refused(admin_client: Client, token: KnownToken) -> None:
    TokenFactory.create(user=token.user, name="server")

    response = admin_client.post(change_url(token), {"name": " server "})
    assert errors(response) == [
        "This user already has a token named “server”. Choose another name."
    ]
    assert row(token)["name"] == "laptop"


def test_rename_to_a_name_of_another_user_is_fine(admin_client: Client, token: KnownToken) -> None:
    TokenFactory.create(name="server")

    admin_client.post(change_url(token), {"name": "server"})
    assert row(token)["name"] == "server"


def test_other_errors_of_the_database_are_errors(admin_client: Client, token: KnownToken) -> None:
    def fail(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("UPDATE") and "access_tokens_token" in sql:
            raise IntegrityError("A constraint of the site says no.")
        return execute(sql, *args)

    with connection.execute_wrapper(fail), pytest.raises(IntegrityError, match="of the site"):
        admin_client.post(change_url(token), {"name": "server"})


def test_error_of_the_site_is_no_conflict(
    admin_client: Client, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise ValidationError("The site says no.")

    monkeypatch.setattr(TokenAdmin, "log_addition", fail)
    with pytest.raises(ValidationError, match="The site says no"):
        add(admin_client, user)
    assert not Token.objects.exists()


def test_rename_to_a_name_that_is_taken_meanwhile_is_an_error_message(
    admin_client: Client,
    token: KnownToken,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class SlowForm(TokenChangeForm):
        def save(self, commit: bool = True) -> Token:
            if commit:
                TokenFactory.create(user=token.user, name="server")
            return super().save(commit)

    monkeypatch.setattr(TokenAdmin, "form", SlowForm)
    response = admin_client.post(change_url(token), {"name": "server"})

    assert response["Location"] == change_url(token)
    assert messages(admin_client) == [NOTHING_SAVED]
    assert f"Token {token.pk} of user {token.user.pk} was refused." in caplog.text
    assert row(token)["name"] == "laptop"


# Rotating.


def rotate_url(token: Token) -> str:
    return f"{LIST}{token.pk}/rotate/"


def end_previous_url(token: Token) -> str:
    return f"{LIST}{token.pk}/end-previous/"


def works(secret: str) -> bool:
    api = Client(headers={"Authorization": f"Bearer {secret}"})
    return api.get("/api/me/").status_code == HTTPStatus.OK


def test_rotation_is_confirmed_first(admin_client: Client, token: KnownToken) -> None:
    change = Page(admin_client.get(change_url(token)))
    assert change.text(f"a[@href='{rotate_url(token)}']") == "Rotate"

    page = Page(admin_client.get(rotate_url(token)))
    assert page.texts("h1") == ["Rotate “laptop”?"]
    assert f"The old one ({token.partial}) keeps working until" in page.body
    assert page.text(f"a[@href='{change_url(token)}']") == "Cancel"
    assert list(page.inline_code()) == []
    assert row(token)["rotated_at"] is None


@pytest.mark.parametrize(("data", "old_works"), [({}, True), ({"end_previous_now": "on"}, False)])
def test_rotated_secret_is_revealed_once(
    admin_client: Client, token: KnownToken, data: dict[str, str], old_works: bool
) -> None:
    before = dict(admin_client.session)

    response = admin_client.post(rotate_url(token), data)
    page = Page(response)
    secret = page.text("div[@data-at-secret]/code")
    assert page.html.count(secret) == 1
    assert page.texts("h1") == ["Copy your new token"]
    assert {"no-store", "private"} <= set(response["Cache-Control"].split(", "))
    assert dict(admin_client.session) == before
    assert [works(token.secret), works(secret)] == [old_works, True]
    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.get_change_message()) == ("laptop", "Rotated.")


def test_rotation_that_fails_says_why(
    admin_client: Client, token: KnownToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowForm(TokenRotateForm):
        def clean(self) -> None:
            Token.objects.update(id=token.pk + 1)

    monkeypatch.setattr(TokenAdmin, "rotate_form", SlowForm)
    page = Page(admin_client.post(rotate_url(token)))
    assert page.texts("div[@role='alert']") == [
        "The token was rotated or deleted at the same time. Try again."
    ]
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("permission", "is_own", "allowed"),
    [
        ("change_token", True, True),
        ("change_token", False, False),
        ("view_token", True, False),
        ("add_token", True, False),
    ],
)
def test_staff_rotate_their_own_tokens_alone(
    user: User, permission: str, is_own: bool, allowed: bool
) -> None:
    client = staff(permission)
    token = TokenFactory.create(user=user_of(client) if is_own else user)

    for method in ("get", "post"):
        status = getattr(client, method)(rotate_url(token)).status_code
        assert status == (HTTPStatus.OK if allowed else HTTPStatus.FORBIDDEN)
    assert (row(token)["rotated_at"] is not None) == allowed
    link = client.get(change_url(token)).content.decode()
    assert (rotate_url(token) in link) == allowed


@pytest.mark.parametrize("why", ["off", "expired"])
def test_rotation_that_is_impossible_is_not_offered(
    admin_client: Client, token: KnownToken, settings: Settings, why: str
) -> None:
    if why == "off":
        settings.ACCESS_TOKENS = {"ROTATION_OVERLAP": None}
    else:
        Token.objects.update(expires_at=timezone.now())

    assert not Page(admin_client.get(change_url(token))).all(f"a[@href='{rotate_url(token)}']")
    assert admin_client.post(rotate_url(token)).status_code == HTTPStatus.FORBIDDEN
    assert row(token)["rotated_at"] is None


@pytest.mark.parametrize("url", [rotate_url, end_previous_url])
def test_rotation_of_no_token_is_not_found(admin_client: Client, user: User, url: Any) -> None:
    assert admin_client.post(url(Token(pk=1))).status_code == HTTPStatus.NOT_FOUND
    assert Client().post(url(Token(pk=1))).status_code == HTTPStatus.FOUND


@pytest.mark.parametrize("url", [rotate_url, end_previous_url])
def test_rotation_needs_a_csrf_token(admin_user: User, token: KnownToken, url: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)

    assert client.post(url(token)).status_code == HTTPStatus.FORBIDDEN


def test_old_secret_is_ended_by_post_alone(admin_client: Client, token: KnownToken) -> None:
    assert "at-previous" not in admin_client.get(change_url(token)).content.decode()
    Token.objects.rotate(token)
    form = Page(admin_client.get(change_url(token))).one("form[@class='at-previous']")
    assert f"The old token ({token.previous_partial}) works until" in text(form)
    assert form.get("action") == end_previous_url(token)

    assert admin_client.get(end_previous_url(token)).status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert works(token.secret)
    response = admin_client.post(end_previous_url(token))
    assert response["Location"] == change_url(token)
    assert not works(token.secret)
    assert messages(admin_client) == ["The old token of “laptop” no longer works."]
    assert LogEntry.objects.get().get_change_message() == (
        "The old token of “laptop” no longer works."
    )


def test_who_may_only_view_ends_nothing(token: KnownToken) -> None:
    Token.objects.rotate(token)
    client = staff("view_token")

    page = Page(client.get(change_url(token)))
    assert "works until the new one is used" in page.body
    assert not page.all("form[@class='at-previous']")
    assert client.post(end_previous_url(token)).status_code == HTTPStatus.FORBIDDEN
    assert works(token.secret)


# Scopes.

SCOPES = {"read": "Read", "write": "Read and write", "reports": "Run reports"}


@pytest.fixture
def with_scopes(settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}


@pytest.mark.usefixtures("with_scopes")
def test_list_shows_scopes(admin_client: Client, token: KnownToken) -> None:
    TokenFactory.create(scopes=["read", "reports"])

    page = Page(admin_client.get(LIST))
    assert page.texts("td[@class='field-access']") == ["Read, Run reports", "Full access"]
    assert "Scopes" in page.texts("thead/tr/th/div[@class='text']")
    assert listed(admin_client, state="full_access") == ["laptop"]


@pytest.mark.usefixtures("with_scopes")
@pytest.mark.parametrize("scopes", [None, ["read"]])
def test_who_may_only_view_sees_scopes(db: None, scopes: list[str] | None) -> None:
    token = TokenFactory.create(scopes=scopes)

    page = Page(staff("view_token").get(change_url(token)))
    assert ("Read" if scopes else "Full access") in page.texts("div[@class='readonly']")
    assert not page.all("input[@name='scopes']")


@pytest.mark.usefixtures("with_scopes")
def test_scopes_can_be_changed(admin_client: Client, token: KnownToken) -> None:
    before = row(token)

    admin_client.post(change_url(token), {"name": "laptop", "scopes": ["reports", "read"]})
    assert row(token) == before | {"scopes": "read reports"}

    page = Page(admin_client.get(change_url(token)))
    checked = [box.get("value") for box in page.all("input[@name='scopes'][@checked]")]
    assert checked == ["read", "reports"]
    response = admin_client.post(change_url(token), {"name": "server"})
    assert errors(response) == ["Choose at least one scope."]
    assert row(token) == before | {"scopes": "read reports"}


@pytest.mark.usefixtures("with_scopes")
def test_scopes_are_chosen_as_on_the_page(admin_client: Client, user: User) -> None:
    checked = Page(admin_client.get(ADD)).all("input[@name='scopes'][@checked]")
    assert [box.get("value") for box in checked] == ["read"]
    data = {"name": "laptop", "user": user.pk, "expires_at": "", "scopes": ["write"]}
    admin_client.post(ADD, data)
    assert Token.objects.get().scopes == "write"


# Deleting.


def test_delete_warns_first(admin_client: Client, token: KnownToken) -> None:
    single = Page(admin_client.get(f"{LIST}{token.pk}/delete/"))
    action = {"action": "delete_selected", "_selected_action": token.pk}
    several = Page(admin_client.post(LIST, action))

    assert "Deleting this token revokes access" in single.body
    assert "Deleting these tokens revokes access" in several.body
    assert Token.objects.get() == token


def test_token_is_deleted(admin_client: Client, token: KnownToken) -> None:
    kept = TokenFactory.create()

    admin_client.post(f"{LIST}{token.pk}/delete/", {"post": "yes"})
    assert Token.objects.get() == kept


def test_selected_tokens_are_deleted(admin_client: Client) -> None:
    kept, *tokens = TokenFactory.create_batch(3)

    pks = [token.pk for token in tokens]
    action = {"action": "delete_selected", "_selected_action": pks, "post": "yes"}
    admin_client.post(LIST, action)
    assert Token.objects.get() == kept


# History.


def test_history_holds_names_alone(admin_client: Client, user: User) -> None:
    secret = Page(add(admin_client, user)).text("div[@data-at-secret]/code")
    token = Token.objects.get()
    admin_client.post(change_url(token), {"name": "server"})
    history = admin_client.get(f"{LIST}{token.pk}/history/").content.decode()
    admin_client.post(f"{LIST}{token.pk}/delete/", {"post": "yes"})

    entries = list(LogEntry.objects.order_by("pk").values())
    assert [entry["object_repr"] for entry in entries] == ["laptop", "server", "server"]
    assert {entry["object_id"] for entry in entries} == {str(token.pk)}
    everything = history + str(entries) + admin_client.get("/admin/").content.decode()
    for part in (secret, secret[4:24], token.digest, token.digest[7:27]):
        assert part not in everything


def test_hostile_name_is_text(admin_client: Client, user: User) -> None:
    name = "\"><script>alert('1')</script>"
    reveal = Page(add(admin_client, user, name=name))
    token = Token.objects.get()
    action = {"action": "delete_selected", "_selected_action": token.pk}

    pages = [
        Page(admin_client.get(LIST)),
        Page(admin_client.get(change_url(token))),
        Page(admin_client.get(f"{LIST}{token.pk}/history/")),
        Page(admin_client.get(f"{LIST}{token.pk}/delete/")),
        Page(admin_client.post(LIST, action)),
        Page(admin_client.get("/admin/")),
        reveal,
    ]
    for page in pages:
        assert "<script>alert" not in page.html
        assert name in page.body or name in {text(th) for th in page.all("th")}


def test_other_columns_in_the_list_change_no_form(
    admin_client: Client, token: KnownToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenAdmin, "list_display", ("user", "name"))
    assert admin_client.post(change_url(token), {"name": "server"}).status_code == HTTPStatus.FOUND
    assert row(token)["name"] == "server"


# The list, where a site lets it edit names.


@pytest.fixture
def editable_list(monkeypatch: pytest.MonkeyPatch) -> Any:
    token_admin = admin.site.get_model_admin(Token)
    monkeypatch.setattr(token_admin, "list_editable", ("name",))
    monkeypatch.setattr(token_admin, "list_display_links", ("token",))
    return token_admin


def edit_list(client: Client, token: Token, name: str) -> Any:
    form = {"form-0-id": token.pk, "form-0-name": name, "_save": "Save"}
    counts = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1}
    return client.post(LIST, form | counts, follow=True)


@pytest.mark.usefixtures("editable_list")
@pytest.mark.parametrize("scopes", [{}, {"read": "Read", "write": "Write"}])
def test_list_writes_only_the_name(
    admin_client: Client, token: KnownToken, settings: Settings, scopes: dict[str, str]
) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": scopes}
    with CaptureQueriesContext(connection) as queries:
        edit_list(admin_client, token, "server")

    (update,) = (
        q["sql"] for q in queries if q["sql"].startswith("UPDATE") and "server" in q["sql"]
    )
    assert update.partition(" SET ")[2].partition(" WHERE ")[0].count("=") == 1
    assert Token.objects.get().name == "server"


def test_list_reports_a_token_that_was_deleted_meanwhile(
    admin_client: Client, token: KnownToken, editable_list: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete_first(*args: Any, **kwargs: Any) -> None:
        Token.objects.all().delete()
        save_model(*args, **kwargs)

    save_model = editable_list.save_model
    monkeypatch.setattr(editable_list, "save_model", delete_first)
    response = edit_list(admin_client, token, "server")

    assert "Nothing was saved" in response.content.decode()
    assert Token.objects.get().name == token.name


def test_form_saves_what_belongs_to_the_token_once(
    admin_client: Client, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[str] = []
    monkeypatch.setattr(TokenForm, "_save_m2m", lambda form: saved.append(form.instance.name))

    admin_client.post(f"{LIST}add/", {"name": "CI", "user": user.pk, "expires_at": "90"})

    assert saved == ["CI"]
