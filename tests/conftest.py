from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import hypothesis
import pytest
from django.contrib.auth.models import User
from django.db import Error
from django.dispatch import Signal
from django.test import Client
from pytest_django import Settings

from access_tokens.signals import last_used_failed

from .clients import session_of
from .factories import KnownToken, TokenFactory, UserFactory

# On a busy machine, any example may take long.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


@pytest.fixture(autouse=True)
def fast_passwords(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def user(db: None) -> User:
    return UserFactory.create(username="ada")


@pytest.fixture
def session(user: User) -> Client:
    return session_of(user)


@pytest.fixture
def token(user: User) -> KnownToken:
    return TokenFactory.create(user=user, name="laptop")


@pytest.fixture
def listen() -> Iterator[Callable[[Signal], list[dict[str, Any]]]]:
    """Return a function that returns the list of what a signal sends from now on."""
    with ExitStack() as stack:

        def listen_to(signal: Signal) -> list[dict[str, Any]]:
            received: list[dict[str, Any]] = []

            def receiver(**kwargs: Any) -> None:
                del kwargs["signal"]
                received.append(kwargs)

            signal.connect(receiver, weak=False)
            stack.callback(signal.disconnect, receiver)
            return received

        yield listen_to


@pytest.fixture
def failures() -> Iterator[list[Error]]:
    """The errors that ``last_used_failed`` sent."""
    errors: list[Error] = []

    def receive(error: Error, **kwargs: Any) -> None:
        errors.append(error)

    last_used_failed.connect(receive)
    yield errors
    last_used_failed.disconnect(receive)


@pytest.fixture
def fail_on() -> Iterator[Callable[[Signal], None]]:
    """Return a function that makes each sending of a signal fail from now on."""
    with ExitStack() as stack:

        def fail(**kwargs: Any) -> None:
            raise RuntimeError("The receiver failed.")

        def fail_on(signal: Signal) -> None:
            signal.connect(fail)
            stack.callback(signal.disconnect, fail)

        yield fail_on
