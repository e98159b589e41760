"""The check of the base template."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, Warning
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template

from ..conf import conf
from .links import documented
from .settings import check_settings

# A word, since a base template may escape or shorten what it shows.
CONTENT = "contentofthepage"
PAGE = f"{{% extends at_base_template %}}{{% block content %}}{CONTENT}{{% endblock %}}"


@documented
def check_base_template(**kwargs: Any) -> list[CheckMessage]:
    """Check that ``BASE_TEMPLATE`` can be loaded and shows the block that the pages fill."""
    if any(message.is_serious() for message in check_settings()):
        return []  # Fix the settings first.
    name = conf.BASE_TEMPLATE
    try:
        # Of several engines, the one that renders the pages.
        engine = get_template("access_tokens/token_list.html").backend  # type: ignore[attr-defined]  # not in the stubs
    except (TemplateDoesNotExist, TemplateSyntaxError):
        return []  # A site without Django templates has no page; a broken one shows why.
    try:
        engine.get_template(name)
    except (TemplateDoesNotExist, TemplateSyntaxError) as error:
        return [
            Error(
                f"ACCESS_TOKENS['BASE_TEMPLATE'] is {name!r}, which cannot be loaded: {error}.",
                hint="Name a template of your site, or remove the key for the built-in page.",
                id="access_tokens.E010",
            )
        ]
    try:
        html = engine.from_string(PAGE).render({"at_base_template": name})
    except TemplateDoesNotExist as error:
        if not error.tried:
            return []  # A request may say which template.
        return [
            Warning(
                f"ACCESS_TOKENS['BASE_TEMPLATE'] is {name!r}, which extends a template that does "
                f"not exist: {error}.",
                hint="Correct the name of the parent template.",
                id="access_tokens.W005",
            )
        ]
    except Exception:
        return []  # It needs a request.
    if CONTENT in html:
        return []
    return [
        Warning(
            f"ACCESS_TOKENS['BASE_TEMPLATE'] is {name!r}, which does not show its block 'content'.",
            hint="Put {% block content %}{% endblock %} where the pages belong. If it shows to "
            "users who are logged in, add this id to SILENCED_SYSTEM_CHECKS.",
            id="access_tokens.W004",
        )
    ]
