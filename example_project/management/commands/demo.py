import socket
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import (
    BaseCommand,
    CommandError,
    CommandParser,
    call_command,
)

ADDRESS = "127.0.0.1"

GREETING = """
Access Tokens   {site}/account/tokens/   log in as demo, password demo
Django admin    {site}/admin/   log in as admin, password admin

Click "+ New Token" on the page, then call the API with your token instead of the dots:

  ACCESS_TOKEN=pat_...
  curl -H "Authorization: Bearer $ACCESS_TOKEN" {site}/api/me/
"""


class Command(BaseCommand):
    help = "Migrate the database, create two users and serve the example project."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("port", nargs="?", type=int, default=8000)

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        require_free(port)
        call_command("migrate", verbosity=0)
        create_user("demo", staff=False)
        create_user("admin", staff=True)
        self.stdout.write(GREETING.format(site=f"http://{ADDRESS}:{port}"))
        self.stdout.flush()
        call_command("runserver", f"{ADDRESS}:{port}", use_reloader=False)


def require_free(port: int) -> None:
    try:
        socket.create_server((ADDRESS, port)).close()
    except (OSError, OverflowError):
        raise CommandError(
            f"Port {port} is in use or not allowed. "
            "Choose another port, for example: make demo PORT=8123"
        ) from None


def create_user(username: str, *, staff: bool) -> None:
    users = get_user_model().objects
    if not users.filter(username=username).exists():
        create = users.create_superuser if staff else users.create_user
        create(username=username, password=username)
