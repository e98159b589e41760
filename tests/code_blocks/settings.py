"""The settings of the site on which the code of the documentation runs."""

from importlib.util import find_spec
from typing import Any

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE, TEMPLATES

# Apps that the documentation names, as far as they are installed.
APPS = [
    "allauth",
    "allauth.account",
    "corsheaders",
    "crispy_bootstrap5",
    "crispy_forms",
    "drf_spectacular",
    "knox",
    "rest_framework.authtoken",
    "rest_framework_api_key",
]
INSTALLED_APPS += [name for name in APPS if find_spec(name) and name not in INSTALLED_APPS]
MIDDLEWARE = [*MIDDLEWARE, "allauth.account.middleware.AccountMiddleware"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CRISPY_TEMPLATE_PACK = "bootstrap5"
# The templates that the documentation extends or includes, and the site would have.
SITE = {
    **dict.fromkeys(
        ["base.html", "babybuddy/page.html", "base/layout.html"],
        "{% block content %}{% endblock %}",
    ),
    "site.html": "{% block main %}{% endblock %}",
}
LOADERS = [
    ("django.template.loaders.locmem.Loader", SITE),
    "django.template.loaders.app_directories.Loader",
]
(engine,) = TEMPLATES
options: Any = engine["OPTIONS"]
TEMPLATES = [{"BACKEND": engine["BACKEND"], "OPTIONS": options | {"loaders": LOADERS}}]
ACCESS_TOKENS = {
    "SCOPES": {"read": "Read", "write": "Read and write", "reports": "Run reports"},
}
