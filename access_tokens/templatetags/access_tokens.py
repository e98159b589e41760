"""``{% load access_tokens %}``: the tags and filters of the Access Tokens page."""

import logging
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django import template
from django.http import HttpRequest
from django.template import Context
from django.urls import NoReverseMatch
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.timezone import template_localtime  # type: ignore[attr-defined]  # not in the stubs
from django.utils.translation import gettext, ngettext, ngettext_lazy

from access_tokens.conf import conf
from access_tokens.limits import creation_error
from access_tokens.models import Token
from access_tokens.querysets import DIGESTS, UNUSED_AFTER_DAYS
from access_tokens.reverse import access_tokens_url

logger = logging.getLogger("access_tokens")
EXPIRES_SOON = timedelta(days=14)
TABLE_ROWS = 50
# Whole, since in many languages the unit changes after the word for "ago".
UNITS_AGO: dict[str, Any] = {
    "year": ngettext_lazy("%(num)d year ago", "%(num)d years ago", "num"),
    "month": ngettext_lazy("%(num)d month ago", "%(num)d months ago", "num"),
    "week": ngettext_lazy("%(num)d week ago", "%(num)d weeks ago", "num"),
    "day": ngettext_lazy("%(num)d day ago", "%(num)d days ago", "num"),
    "hour": ngettext_lazy("%(num)d hour ago", "%(num)d hours ago", "num"),
    "minute": ngettext_lazy("%(num)d minute ago", "%(num)d minutes ago", "num"),
}

register = template.Library()


class Badge(NamedTuple):
    """A line under a token's name; the tone is a CSS class, never the only signal."""

    text: str | SafeString
    tone: str


@register.simple_tag(takes_context=True)
def at_nonce_attr(context: Context) -> SafeString:
    """Return `` nonce="…"`` where the site uses nonces (Django's own or django-csp's), else nothing."""
    # A lazy nonce is false until its first use, so only None means that there is none.
    nonce = context.get("csp_nonce")
    if nonce is None:
        nonce = getattr(_request(context), "csp_nonce", None)
    return SafeString("") if nonce is None else format_html(' nonce="{}"', str(nonce))


@register.simple_tag(takes_context=True, name="access_tokens_url")
def access_tokens_url_tag(context: Context, name: str, pk: int | None = None) -> str:
    """Return the URL of a page, by its name in ``access_tokens.urls``."""
    return access_tokens_url(_request(context), name, pk)


@register.inclusion_tag("access_tokens/_token_mask.html")
def token_mask(token: Token) -> dict[str, str]:
    """Show which token this is by its first and last characters."""
    start, _, end = token.partial.partition("…")
    return {"start": start, "end": end}


@register.filter
def token_name(token: Token | None) -> SafeString:
    """Return the name, isolated from the direction of the text around it."""
    return format_html('<bdi data-at-slot="name">{}</bdi>', token.name if token else "")


@register.filter
def partial_code(partial: str) -> SafeString:
    """Return the first and last characters of a secret, for use in a sentence."""
    return format_html('<code class="at-mask" dir="ltr" translate="no">{}</code>', partial)


@register.simple_tag
def rotation_overlap() -> timedelta | None:
    """Return how long an old token works alongside the new one, or None without rotation."""
    return conf.ROTATION_OVERLAP


@register.filter
def duration(value: timedelta) -> str:
    """Return a duration in words: "1 day"."""
    now = timezone.now()
    return timesince(now - value, now)


@register.simple_tag
def uses_are_recorded() -> bool:
    """Return whether ``last_used_at`` says anything."""
    return conf.LAST_USED_RESOLUTION is not None


@register.filter
def token_badges(token: Token) -> list[Badge]:
    """Return the lines under a token's name: one, and one for each thing that needs attention."""
    now = timezone.now()
    badges = [_expiry_badge(token.expires_at, now)]
    if conf.SCOPES:
        is_limited = token.scopes is not None
        tone = "at-tone-neutral" if is_limited else "at-tone-warning"
        badges.insert(0, Badge(token_scopes(token), tone))
    unused = (now - (token.last_used_at or token.created_at)).days
    if uses_are_recorded() and unused >= UNUSED_AFTER_DAYS and not token.is_expired:
        text = ngettext("Unused for %(days)d day", "Unused for %(days)d days", unused)
        badges.append(Badge(text % {"days": unused}, "at-tone-warning"))
    calm = [badge.text for badge in badges if badge.tone == "at-tone-neutral"]
    line = [Badge(format_html_join(" · ", "{}", zip(calm)), "at-tone-neutral")] if calm else []
    return [*line, *(badge for badge in badges if badge.tone != "at-tone-neutral")]


@register.filter
def token_scopes(token: Token) -> SafeString:
    """Return the labels of the token's scopes; one that ``SCOPES`` no longer has is struck out."""
    if token.scopes is None:
        return format_html("{}", gettext("Full access"))
    return format_html_join(", ", "{}", ((_scope_label(name),) for name in token.scopes.split()))


@register.filter
def time_ago(time: datetime) -> str:
    """Return how long ago that was, in its largest unit: "2 hours ago"."""
    now = timezone.now()
    if now - time < timedelta(minutes=1):
        return gettext("Just now")
    return timesince(time, now, time_strings=UNITS_AGO, depth=1)


@register.inclusion_tag("access_tokens/_user_table.html", takes_context=True)
def access_tokens_table(context: Context) -> dict[str, Any]:
    """Show the newest tokens of the user who is logged in, for a site's own settings page."""
    request = _request(context)
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or not _is_included(request):
        return {}
    tokens = Token.objects.filter(user=user).defer(*DIGESTS)
    return {
        "request": request,
        "return_url": request.get_full_path(),
        "csp_nonce": context.get("csp_nonce"),
        "limit_error": creation_error(user, tokens),
        "token_list": tokens[:TABLE_ROWS],
    }


def _is_included(request: HttpRequest) -> bool:
    try:
        return bool(access_tokens_url(request, "list"))
    except NoReverseMatch:
        logger.warning(
            "{% access_tokens_table %} shows nothing: the pages can't be reversed from here."
        )
        return False


def _request(context: Context) -> Any:
    return context.get("request") or getattr(context, "request", None)


def _scope_label(name: str) -> Any:
    if name in conf.SCOPES:
        return conf.SCOPES[name]
    said = gettext("no longer available")
    return format_html('<s>{}</s> <span class="at-sr">({})</span>', name, said)


def _expiry_badge(expires_at: datetime | None, now: datetime) -> Badge:
    if expires_at is None:
        return Badge(gettext("No expiration"), "at-tone-neutral")
    day = template_localtime(expires_at)
    # A line may end before a date, but not within it.
    date = {"date": date_format(day, "DATE_FORMAT").replace(" ", "\N{NO-BREAK SPACE}")}
    if expires_at <= now:
        return Badge(gettext("Expired %(date)s") % date, "at-tone-danger")
    if expires_at - now > EXPIRES_SOON:
        return Badge(gettext("Expires %(date)s") % date, "at-tone-neutral")
    days = (day.date() - template_localtime(now).date()).days
    if days < 1:
        return Badge(gettext("Expires today"), "at-tone-warning")
    text = ngettext("Expires in %(days)d day", "Expires in %(days)d days", days)
    return Badge(text % {"days": days}, "at-tone-warning")
