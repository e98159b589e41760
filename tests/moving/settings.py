"""The settings of a site that moves from other packages by the guides in docs/moving."""

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "integrations", "tests.moving.organizations"]
# The tests that start this have a test database of their own on the same server.
if "sqlite" not in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["TEST"] = {"NAME": "test_moving"}
ROOT_URLCONF = "example_project.urls"
# Made by syncdb, since the models of the two apps have no migrations but relations to these.
MIGRATION_MODULES = {"contenttypes": None, "auth": None}
