import socket
from itertools import chain
from typing import Any

from django.contrib.auth.models import User
from django.core.management import (
    BaseCommand,
    CommandError,
    CommandParser,
    call_command,
)

from example_project.sample_tokens import renew_sample_tokens

ADDRESS = "127.0.0.1"
PORTS = range(65_536)

GREETING = """
The example project is at {site}/

  Log in as    Password
  ada          ada         to see tokens in every state
  demo         demo        to create your first token
  admin        admin       to see the Django admin

Click "+ New Token", then call the API with your token instead of the dots:

  ACCESS_TOKEN=pat_...
  curl -H "Authorization: Bearer $ACCESS_TOKEN" {site}/api/me/
"""


class Command(BaseCommand):
    help = "Migrate the database, create three users and serve the example project."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("port", nargs="?", type=int, default=8000)

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        require_free(port)
        call_command("migrate", verbosity=0)
        create_user("demo")
        create_user("admin", is_staff=True, is_superuser=True)
        renew_sample_tokens(create_user("ada"))
        self.stdout.write(GREETING.format(site=f"http://{ADDRESS}:{port}"))
        self.stdout.flush()
        call_command("runserver", f"{ADDRESS}:{port}", use_reloader=False)


def require_free(port: int) -> None:
    if not is_free(port):
        free = next(filter(is_free, chain(PORTS[max(port, 0) + 1 :], PORTS[8000:])))
        raise CommandError(f"Port {port} is in use or not allowed. Try: make demo PORT={free}")


def is_free(port: int) -> bool:
    if port not in PORTS:
        return False
    try:
        socket.create_server((ADDRESS, port)).close()
    except OSError:
        return False
    return True


def create_user(username: str, **fields: bool) -> User:
    """Create a user whose password is the username, unless there is one."""
    user, created = User.objects.get_or_create(username=username, defaults=fields)
    if created:
        user.set_password(username)
        user.save()
    return user
