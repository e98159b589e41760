"""The settings of the example project, with the packages whose tokens can be imported."""

from example_project.settings import *  # noqa: F403
from example_project.settings import INSTALLED_APPS

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "knox",
    "rest_framework.authtoken",
    "rest_framework_api_key",
]
