"""Count requests by address, in Django's cache."""

from __future__ import annotations

import logging
import math
import re
import time
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

if TYPE_CHECKING:
    from rest_framework.throttling import BaseThrottle
else:
    # DRF calls these two methods only, and this module works without DRF.
    BaseThrottle = object

logger = logging.getLogger("access_tokens")

# Some proxies add a port, as in 192.0.2.7:443 and [2001:db8::7]:443.
HOST: Final = re.compile(r"^(?:\[(.*)\]|([^:]*))(?::[0-9]+)?$")
SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class AddressThrottle(BaseThrottle):
    """Limit the requests of an address, as a throttle of Django REST framework.

    Unlike DRF's own, it counts parallel requests one by one, counts IPv6 by network, trusts no
    header unless ``NUM_PROXIES`` is set, and lets requests pass while the cache fails.
    """

    scope = "address"
    rate = "100/min"

    def allow_request(self, request: Any, view: Any = None) -> bool:
        """Count ``request`` and return whether its address may go on."""
        self.seconds = seconds_to_wait(request, self.scope, self.rate)
        return self.seconds is None

    def wait(self) -> int | None:
        """Return after how many seconds to try again."""
        return self.seconds


def seconds_to_wait(request: HttpRequest, scope: str, rate: str) -> int | None:
    """Count ``request``. Return how long its address must wait if it exceeds ``rate``, else None.

    ``scope`` says what is counted. ``rate`` is, for example, "100/min", as in DRF.
    """
    client = client_network(request)
    if client is None:
        return None
    limit, period = parse_rate(rate)
    now = time.time()
    window = int(now // period)
    key = f"access_tokens.{scope}:{client}:{window}"
    try:
        # The first request of a window makes the key, and each one counts in one step.
        cache.add(key, 0, timeout=period)
        count = cache.incr(key)
    except Exception as error:  # Each cache has errors of its own.
        logger.warning("A request was not counted by its address: %s.", type(error).__name__)
        return None
    return math.ceil((window + 1) * period - now) if count > limit else None


def parse_rate(rate: str) -> tuple[int, int]:
    """Return the number of requests of a rate and its period in seconds."""
    number, _, period = rate.partition("/")
    return int(number), SECONDS[period[0]]


def client_network(request: HttpRequest) -> str | None:
    """Return the IPv4 address of the client or its IPv6 network /64, or None if it has none."""
    try:
        address = ip_address(HOST.sub(r"\1\2", client_address(request)))
    except ValueError:
        return None  # such as behind a Unix socket
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    # A client with one IPv6 address can usually use its whole network.
    return str(IPv6Network((int(address), 64), strict=False))


def client_address(request: HttpRequest) -> str:
    """Return the address of the client as DRF's throttles do, but trust no header by default."""
    proxies = getattr(settings, "REST_FRAMEWORK", {}).get("NUM_PROXIES")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR")
    if not proxies or not forwarded:
        return request.META.get("REMOTE_ADDR") or ""
    addresses = forwarded.split(",")
    return str(addresses[-min(proxies, len(addresses))]).strip()
