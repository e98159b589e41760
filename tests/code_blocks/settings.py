"""The settings of the site on which the code of the documentation runs."""

from typing import Any

from example_project.settings import *  # noqa: F403
from example_project.settings import INSTALLED_APPS, MIDDLEWARE, TEMPLATES

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "allauth",
    "allauth.account",
    "crispy_forms",
    "crispy_bootstrap5",
]
MIDDLEWARE = [*MIDDLEWARE, "allauth.account.middleware.AccountMiddleware"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
# The templates that the documentation extends or includes, and the site would have.
CRISPY_TEMPLATE_PACK = "bootstrap5"
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
