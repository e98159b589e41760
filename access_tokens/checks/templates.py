"""The check of the base template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.template import Engine, Origin, Template, TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader_tags import BlockNode, ExtendsNode

from ..conf import conf
from .settings import check_settings


def check_base_template(**kwargs: Any) -> list[CheckMessage]:
    """Check that ``BASE_TEMPLATE`` can be loaded and has the block that the pages fill."""
    if check_settings():
        return []  # First things first.
    name = conf.BASE_TEMPLATE
    try:
        engine = Engine.get_default()
    except ImproperlyConfigured:
        return []  # A site without Django templates has no page.
    try:
        blocks = block_names(engine.get_template(name))
    except (TemplateDoesNotExist, TemplateSyntaxError) as error:
        return [
            Error(
                f"ACCESS_TOKENS['BASE_TEMPLATE'] is {name!r}, which cannot be loaded: {error}.",
                hint="Name a template of your site, or remove the key for the built-in page.",
                id="access_tokens.E010",
            )
        ]
    if "content" in blocks:
        return []
    return [
        Error(
            f"ACCESS_TOKENS['BASE_TEMPLATE'] is {name!r}, which shows no block 'content'.",
            hint=f"Its blocks are: {', '.join(sorted(blocks)) or 'none'}. Wrap 'content' in one.",
            id="access_tokens.E011",
        )
    ]


def block_names(template: Template, history: Sequence[Origin] = ()) -> set[str]:
    """Return the names of the blocks that a template shows when another one extends it.

    A block of a template that itself extends shows only inside of a block of its parent.
    """
    blocks: list[Any] = template.nodelist.get_nodes_by_type(BlockNode)
    parents: list[Any] = template.nodelist.get_nodes_by_type(ExtendsNode)
    for extends in parents:
        if not isinstance(extends.parent_name.var, str):
            break  # Only a request can tell which parent a variable names.
        history = [*history, template.origin]
        parent, _origin = template.engine.find_template(extends.parent_name.var, skip=history)
        shown = block_names(parent, history)
        outer = [block for block in blocks if block.name in shown]
        return shown.union(
            inner.name for block in outer for inner in block.get_nodes_by_type(BlockNode)
        )
    return {block.name for block in blocks}
