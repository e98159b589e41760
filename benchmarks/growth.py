"""What a request costs when there are many tokens, of all users or of one."""

from __future__ import annotations

from datetime import timedelta

from django.test import override_settings

from access_tokens.models import Token

from .databases import create_tokens, create_users, credentials, using
from .measure import measure, ratio
from .peers import ACCESS_TOKENS
from .report import print_table
from .speed import Call, authentication, on

SIZES_OF_ONE_USER = [1, 100, 10_000]
TARGET = 1.15
# So many tokens take turns, lest every request read the same pages.
USED = 100


def compare_sizes(rounds: int, sizes: list[int]) -> None:
    """Print what a request costs with more and more tokens of many users."""
    calls: dict[str, Call] = {}
    for size in sizes:
        with using(f"{size}"):
            create_tokens(size, create_users(1_000))
            values = credentials(Token.objects.all(), USED)
        calls[f"{size:,}"] = on(f"{size}", authentication(ACCESS_TOKENS, *values))
    print_growth("tokens of all users", calls, rounds)


def compare_sizes_of_one_user(rounds: int) -> None:
    """Print what a request costs with more and more tokens of its user."""
    calls: dict[str, Call] = {}
    for size in SIZES_OF_ONE_USER:
        users = create_users(1)
        create_tokens(size, users)
        values = credentials(users[0].access_tokens.all(), 1)
        calls[f"{size:,}"] = authentication(ACCESS_TOKENS, *values)
    print_growth("tokens of the user", calls, rounds)


def print_growth(title: str, calls: dict[str, Call], rounds: int) -> None:
    """Print the cost as a ratio to the cost with the fewest tokens."""
    fewest = next(iter(calls))
    columns = []
    for resolution in timedelta(days=1), timedelta(0):
        with override_settings(ACCESS_TOKENS={"LAST_USED_RESOLUTION": resolution}):
            samples = measure(calls, rounds, title)
        columns.append([f"{ratio(samples, size, fewest):.2f}" for size in calls])
    rows = zip(calls, *columns, [f"≤ {TARGET}"] * len(calls), strict=True)
    print_table([[title, "already recorded", "each written", "target"], *map(list, rows)])
    print()
