"""The admin pages on other sites: each changes the whole process, so has one of its own."""

import re

from .processes import run_python

WITH_UNFOLD = """
from example_project import settings
settings.INSTALLED_APPS.insert(0, "unfold")
settings.DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}

import django
django.setup()

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from unfold.admin import ModelAdmin

from access_tokens.admin import TokenAdminMixin
from access_tokens.models import Token

admin.site.unregister(Token)


@admin.register(Token)
class TokenAdmin(TokenAdminMixin, ModelAdmin):
    pass


call_command("check", fail_level="WARNING")
call_command("migrate", verbosity=0)
user = User.objects.create_superuser("ada")
client = Client(headers={"host": "localhost"})
client.force_login(user)
tokens = "/admin/access_tokens/token/"
new = {"name": "laptop", "user": user.pk, "expires_at": ""}
print("reveal", client.post(f"{tokens}add/", new).content.decode())
pk = Token.objects.get().pk
for page in ("", "?state=never_used", "add/", f"{pk}/change/", f"{pk}/delete/", f"{pk}/history/"):
    response = client.get(tokens + page)
    print("page", response.status_code, "unfold" in response.content.decode())
print("delete", client.post(f"{tokens}{pk}/delete/", {"post": "yes"}).status_code)
print("left", Token.objects.count())
"""


WITHOUT_SUPERUSERS = """
from example_project import settings
settings.INSTALLED_APPS += ["tests.user_models"]
settings.AUTH_USER_MODEL = "user_models.AdminUser"
settings.DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
# Made by syncdb, since the user model has no migrations.
settings.MIGRATION_MODULES = {app.rpartition(".")[2]: None for app in settings.INSTALLED_APPS}

import django
django.setup()

from django.core.management import call_command
from django.test import Client

from tests.user_models.models import AdminUser

call_command("migrate", verbosity=0, run_syncdb=True)
user = AdminUser(username="ada")
user.save()
client = Client(headers={"host": "localhost"})
client.force_login(user)
print(client.get("/admin/access_tokens/token/add/").content.decode())
"""


def run(code: str) -> str:
    return run_python("-c", code, DJANGO_SETTINGS_MODULE="example_project.settings")


def test_user_model_without_superusers_makes_tokens_for_oneself() -> None:
    assert re.findall(r'<option value="(\d*)"[^>]*>ada', run(WITHOUT_SUPERUSERS)) == ["1"]


def test_the_mixin_makes_the_admin_of_a_theme() -> None:
    output = run(WITH_UNFOLD)
    assert len(re.findall(r"pat_[0-9A-Za-z]{46}", output)) == 1
    assert re.findall(r"^page (.*)$", output, re.MULTILINE) == ["200 True"] * 6
    assert output.endswith("delete 302\nleft 0\n")
