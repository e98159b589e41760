"""Tokens in every state that the page shows."""

from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from access_tokens.models import Token

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

# The name, the scopes, how long ago the token was created and last used, and when it expires.
SAMPLES = [
    ("Home automation", None, 400 * DAY, 234 * DAY, None),
    ("Contractor access", "read", 145 * DAY, 56 * DAY, -55 * DAY),
    ("Nightly export", "read", 87 * DAY, 14 * HOUR, 3 * DAY),
    ("CI pipeline", "write", 82 * DAY, HOUR / 20, 98 * DAY),
    ("Deployment", "write", 45 * DAY, 9 * HOUR, 45 * DAY),
    ("Monthly report", "read reports", 30 * DAY, 5 * DAY, 60 * DAY),
    ("Laptop", "write", 2 * DAY, None, 88 * DAY),
]


def renew_sample_tokens(user: User) -> None:
    """Give ``user`` the sample tokens as they look now, and leave the other tokens alone."""
    now = timezone.now()
    user.access_tokens.filter(name__in=[name for name, *_ in SAMPLES]).delete()
    for name, scopes, age, last_used, expires in SAMPLES:
        token, _ = user.access_tokens.create_token(name=name)
        Token.objects.filter(pk=token.pk).update(
            scopes=scopes,
            created_at=now - age,
            last_used_at=None if last_used is None else now - last_used,
            expires_at=None if expires is None else now + expires,
        )
    # The new secret of one is in use, and that of the other was not used yet.
    for name, rotated, previous_ends in [
        ("Deployment", 10 * HOUR, 15 * HOUR),
        ("Monthly report", 2 * HOUR, None),
    ]:
        token = user.access_tokens.get(name=name)
        user.access_tokens.rotate(token, expires_at=token.expires_at)
        Token.objects.filter(pk=token.pk).update(
            rotated_at=now - rotated,
            previous_ends_at=None if previous_ends is None else now + previous_ends,
        )
