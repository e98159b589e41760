from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections


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
