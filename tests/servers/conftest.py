from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import Error, connections

from access_tokens.signals import last_used_failed


@pytest.fixture(params=[False, True], ids=["autocommit", "atomic requests"])
def atomic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    for database in connections.settings.values():
        monkeypatch.setitem(database, "ATOMIC_REQUESTS", request.param)
    return bool(request.param)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """The threads of a site."""
    with ThreadPoolExecutor(9) as executor:
        yield executor


@pytest.fixture
def failures() -> Iterator[list[Error]]:
    """The errors that ``last_used_failed`` told."""
    errors: list[Error] = []

    def receive(error: Error, **kwargs: object) -> None:
        errors.append(error)

    last_used_failed.connect(receive)
    yield errors
    last_used_failed.disconnect(receive)
