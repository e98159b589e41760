"""The settings of the tests, with the servers of ``DATABASE_URLS`` as ``default``, ``server2``…"""

import os

import dj_database_url

from example_project.settings import *  # noqa: F403

DATABASES = {
    "default" if number == 1 else f"server{number}": dj_database_url.parse(url)
    for number, url in enumerate(os.environ["DATABASE_URLS"].split(), 1)
}

for alias in set(DATABASES) - {"default"}:
    # The servers replicate, so the test database of the first one is on all of them.
    DATABASES[alias]["TEST"] = {"MIRROR": "default"}
