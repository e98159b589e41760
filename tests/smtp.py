"""A mail server that a test can let refuse, and the settings that make Django use it."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage

import django
from pytest_django import Settings


class Handler(socketserver.StreamRequestHandler):
    """Speak as much SMTP (RFC 5321) as Django's backend does."""

    server: MailServer

    def handle(self) -> None:
        self.reply("220 ready")
        for line in self.rfile:
            command = line[:4].decode().upper()
            if command == "DATA":
                self.reply("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                message = message_from_bytes(b"".join(lines), policy=policy.default)
                self.server.receive(message)
                self.reply("250 received")
            elif command == "RCPT" and self.server.refuses(line.decode()):
                self.reply("550 no such user")
            else:
                self.reply("250 fine")

    def reply(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class MailServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.messages: list[EmailMessage] = []
        self.refused = ""
        self.on_message: Callable[[], object] = lambda: None

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def refuses(self, line: str) -> bool:
        return bool(self.refused) and re.search(f"<{self.refused}>", line) is not None

    def receive(self, message: EmailMessage) -> None:
        self.on_message()
        self.messages.append(message)


@contextmanager
def mail_server(settings: Settings) -> Iterator[MailServer]:
    """Run a mail server, and let Django send by it."""
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        send_by(settings, server.port)
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def send_by(settings: Settings, port: int) -> None:
    """Let Django send by the mail server on this port of the machine."""
    backend = "django.core.mail.backends.smtp.EmailBackend"
    if django.VERSION < (6, 1):
        settings.EMAIL_BACKEND = backend
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    else:
        options = {"host": "127.0.0.1", "port": port}
        settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": options}}


def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])
