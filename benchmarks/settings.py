"""The settings of the comparison: the package and its peers on one database."""

from datetime import timedelta
from typing import Any

import dj_database_url

SECRET_KEY = "insecure-key-of-a-benchmark-that-never-leaves-this-machine"

ALLOWED_HOSTS = ["testserver"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "rest_framework",
    "rest_framework.authtoken",
    "rest_framework_api_key",
    "rest_framework_simplejwt",
    "knox",
    "access_tokens",
    "benchmarks",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

ROOT_URLCONF = "benchmarks.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DEFAULT: dict[str, Any] = {**dj_database_url.config(default="sqlite://:memory:")}

DATABASES = {"default": DEFAULT}

DATABASE_ROUTERS = ["benchmarks.databases.Router"]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

STATIC_URL = "static/"

USE_TZ = True

# Longer than any run.
SIMPLE_JWT = {"ACCESS_TOKEN_LIFETIME": timedelta(days=1)}

# A database for each number of tokens, so that they can take turns.
SIZES = [1_000, 100_000, 1_000_000]
for size in SIZES:
    is_sqlite = DEFAULT["ENGINE"] == "django.db.backends.sqlite3"
    name = None if is_sqlite else f"test_{DEFAULT['NAME']}_{size}"
    DATABASES[f"{size}"] = DEFAULT | {"TEST": {"NAME": name}}

if DEFAULT["ENGINE"] == "django.db.backends.postgresql":
    # The same database, where the server binds the parameters and keeps the statements prepared.
    DATABASES["prepared"] = DEFAULT | {
        "OPTIONS": DEFAULT.get("OPTIONS", {})
        | {"server_side_binding": True, "prepare_threshold": 5},
        "TEST": {"MIRROR": "default"},
    }
