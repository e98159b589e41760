"""The recipes do what they say."""

from __future__ import annotations

from typing import Any

import pytest
from audit import receivers as _audit  # noqa: F401  # It connects the receivers.
from audit.models import Event
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.core.management import call_command
from django.http import Http404, HttpRequest
from django.test import Client, RequestFactory
from mysite.passwords import MyPasswordChangeView, MyPasswordResetConfirmView
from mysite.teams import create_service_user
from mysite.throttling import TokenRateThrottle
from mysite.tokens import tokens_for_the_app
from mysite.views import TeamTokenCreateView
from rest_framework.test import APIRequestFactory

from access_tokens.models import Token


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada")


def bearer(user: User, name: str) -> dict[str, str]:
    _, secret = Token.objects.create_token(user=user, name=name)
    return {"authorization": f"Bearer {secret}"}


def test_throttle_counts_each_token_for_itself(user: User) -> None:
    cache.clear()
    throttle: Any = TokenRateThrottle()
    request: Any = RequestFactory().get("/")
    request.user = user
    keys = set()
    for name in ["a", "b"]:
        request.auth, _ = Token.objects.create_token(user=user, name=name)
        keys.add(throttle.get_cache_key(request, None))
    request.auth = None
    keys.add(throttle.get_cache_key(request, None))
    assert len(keys) == 3


def test_token_gets_no_jwt(user: User) -> None:
    request: Any = APIRequestFactory().post("/", headers=bearer(user, "CI"))

    assert tokens_for_the_app(request).status_code == 403
    request.user = user
    request._dont_enforce_csrf_checks = True
    assert tokens_for_the_app(request).data.keys() == {"refresh", "access"}


def create(user: User, team: str) -> Any:
    request: HttpRequest = RequestFactory().post("/", {"name": "Import", "expires_at": "90"})
    request.user = user
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]  # as the test client
    return TeamTokenCreateView.as_view()(request, team=team)


def test_member_creates_a_token_of_the_team(user: User) -> None:
    service = create_service_user("data")
    user.groups.add(Group.objects.create(name="data"))

    assert create(user, "data").status_code == 200
    assert Token.objects.get().user == service


def test_others_create_no_token_of_the_team(user: User) -> None:
    create_service_user("data")
    Group.objects.create(name="data")

    with pytest.raises(Http404):
        create(user, "data")


def test_command_creates_a_token_of_the_team(db: None) -> None:
    service = create_service_user("data")
    call_command("create_access_token", "service-data", "Nightly import", "--expires-in-days", "90")

    assert service.access_tokens.get().name == "Nightly import"


@pytest.mark.urls("mysite.urls")
@pytest.mark.parametrize("view", [MyPasswordChangeView, MyPasswordResetConfirmView])
def test_changed_password_ends_tokens(user: User, view: Any, client: Client) -> None:
    user.set_password("old")
    bearer(user, "CI")
    instance = view(success_url="/", user=user)
    instance.setup(RequestFactory().post("/"))
    instance.request.user, instance.request.session = user, client.session
    instance.request.session["_password_reset_token"] = "token"
    form = instance.get_form_class()(
        user,
        {
            "old_password": "old",
            "new_password1": "a long new one",
            "new_password2": "a long new one",
        },
    )
    assert form.is_valid()
    instance.form_valid(form)

    assert not user.access_tokens.exists()


def test_audit_log_says_what_happened(user: User) -> None:
    token, _ = Token.objects.create_token(user=user, name="CI")
    Token.objects.rotate(token)
    Token.objects.get().delete()

    verbs = [event.text.split()[1] for event in Event.objects.filter(user_id=user.pk)]
    assert verbs == ["created", "rotated", "deleted"]
