"""The settings of the benchmark: the app and its peers on one database."""

from datetime import timedelta
from typing import Any

import dj_database_url


class Router:
    """Send every query to one database, which a benchmark chooses."""

    alias = "default"

    def db_for_read(self, model: type, **hints: Any) -> str:
        return self.alias

    db_for_write = db_for_read


SECRET_KEY = "insecure-key-of-a-benchmark-that-never-leaves-this-machine"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework.authtoken",
    "rest_framework_api_key",
    "knox",
    "access_tokens",
    "benchmarks",
]

ROOT_URLCONF = "benchmarks.calls"

DEFAULT: dict[str, Any] = {**dj_database_url.config(default="sqlite://:memory:")}

DATABASES = {
    "default": DEFAULT,
    # Few and many tokens, each in a database of its own, so that they can take turns.
    "few": DEFAULT | {"NAME": f"{DEFAULT['NAME']}_few"},
    "many": DEFAULT | {"NAME": f"{DEFAULT['NAME']}_many"},
}

if DEFAULT["ENGINE"] == "django.db.backends.postgresql":
    # The default database again, with other options.
    same = DEFAULT | {"TEST": {"MIRROR": "default"}}
    options = {"server_side_binding": True, "prepare_threshold": 5}
    DATABASES["prepared"] = same | {"OPTIONS": DEFAULT.get("OPTIONS", {}) | options}
    DATABASES["atomic"] = same | {"ATOMIC_REQUESTS": True, "CONN_MAX_AGE": None}

DATABASE_ROUTERS = ["benchmarks.settings.Router"]

# Longer than any run.
SIMPLE_JWT = {"ACCESS_TOKEN_LIFETIME": timedelta(days=1)}
