"""The README's installation, followed to the letter on a project of ``startproject``."""

import re
import shlex
from pathlib import Path
from textwrap import dedent

from django.core.management import call_command

from .docs import README
from .processes import run_python

INSTALLATION = README.partition("## Installation")[2].partition("## Settings people change")[0]

SET_UP = """
import django
from django.core.management import call_command

django.setup()
"""
TRY_IT = """
import re

from django.contrib.auth.models import User
from django.test import Client

User.objects.create_user("ada", password="ada")
client = Client(SERVER_NAME="localhost")
page = client.get("/account/tokens/", follow=True)
(login, _), = page.redirect_chain
assert page.status_code == 200
assert client.post(login, {"username": "ada", "password": "ada"}).url == "/account/tokens/"
html = client.post("/account/tokens/new/", {"name": "CI"}).content.decode()
secret = re.search(r"pat_[0-9A-Za-z]{46}", html)[0]

api = Client(SERVER_NAME="localhost", headers={"authorization": f"Bearer {secret}"})
assert api.get("/api/me/").json() == {"username": "ada"}
assert client.get("/api/me/").status_code == 200
anonymous = Client(SERVER_NAME="localhost").get("/api/me/")
assert anonymous.status_code == 401
assert anonymous["WWW-Authenticate"].startswith("Bearer ")
"""


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", INSTALLATION, re.DOTALL | re.MULTILINE)
    return [dedent(block) for _, block in found]


def is_of_settings(block: str) -> bool:
    return re.match("[A-Z_]+ = ", block) is not None


def install(directory: Path) -> None:
    """Make a project and add to it what the README says."""
    call_command("startproject", "mysite", directory)
    for block in blocks("python"):
        module = directory / "mysite" / ("settings.py" if is_of_settings(block) else "urls.py")
        with module.open("a") as file:
            # The README shows a whole list, where the one of the project is extended.
            file.write("\n" + block.replace("= [\n    # ...\n", "+= [\n"))


def run(project: Path, code: str) -> None:
    """Run code on the site of a project."""
    run_python("-W", "error", "-c", code, cwd=project, DJANGO_SETTINGS_MODULE="mysite.settings")


def test_installation_of_the_readme_works_on_a_new_project(tmp_path: Path) -> None:
    install(tmp_path)
    commands = [shlex.split(line) for block in blocks("console") for line in block.splitlines()]
    names = [command[2] for command in commands if command[:2] == ["python", "manage.py"]]
    assert names == ["migrate", "check"]
    run(tmp_path, SET_UP + "".join(f"call_command({name!r})\n" for name in names) + TRY_IT)
