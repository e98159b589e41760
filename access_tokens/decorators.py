"""What function views need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])


def required_scopes(
    scopes: Sequence[str] | Mapping[str, Sequence[str]],
) -> Callable[[View], View]:
    """Say which scopes a function view of Django REST framework needs.

    Put it above ``@api_view``, otherwise it raises ``TypeError``. A class has an attribute
    ``required_scopes`` instead.
    """

    def decorate(view: View) -> View:
        cls = getattr(view, "cls", None)
        if cls is None:
            raise TypeError("Put @required_scopes above @api_view.")
        cls.required_scopes = scopes
        return view

    return decorate
