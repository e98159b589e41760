"""What drf-spectacular, if it's installed, says of access tokens in an OpenAPI document."""

from __future__ import annotations

import re
from typing import Any, Final

from django.utils.translation import gettext as _
from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from drf_spectacular.settings import spectacular_settings

from ..conf import conf
from ..scopes import needed_scopes

NAME: Final = "accessToken"


class AccessTokenScheme(OpenApiAuthenticationExtension):
    """The security scheme of ``AccessTokenAuthentication`` and its subclasses."""

    target_class = "access_tokens.authentication.AccessTokenAuthentication"
    match_subclasses = True
    priority = -1  # A site may write its own.

    @property
    def keyword(self) -> str:
        keyword: str = self.target.keyword
        return "Bearer" if keyword.lower() == "bearer" else keyword

    @property
    def name(self) -> str:  # type: ignore[override]  # each keyword is a scheme of its own
        if self.keyword == "Bearer":
            return NAME
        return f"{NAME}-" + re.sub(r"[^\w.-]", "-", self.keyword, flags=re.ASCII)

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        # Subclasses with the same keyword are the same scheme.
        set_override(type(self.target), "suppress_collision_warning", True)
        return build_bearer_security_scheme_object("Authorization", self.keyword)

    def get_security_requirement(self, auto_schema: AutoSchema) -> dict[str, list[str]]:
        if not conf.SCOPES:
            return {self.name: []}
        # OpenAPI 3.0 allows scopes to OAuth alone. The description is already written.
        hooks = spectacular_settings.POSTPROCESSING_HOOKS
        if spectacular_settings.OAS_VERSION.startswith("3.0") and move_scopes not in hooks:
            hooks.append(move_scopes)
        view = auto_schema.view
        required = getattr(view, "required_scopes", None)
        action = getattr(view, "action", None)
        return {self.name: list(needed_scopes(required, auto_schema.method, action))}


def move_scopes(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Name the scopes of each operation in its description instead."""
    for path in result["paths"].values():
        for operation in path.values():
            scopes = []
            for requirement in operation.get("security", ()):
                for name in requirement:
                    if name.startswith(NAME):
                        scopes, requirement[name] = requirement[name], []
            if scopes:
                names = ", ".join(f"`{scope}`" for scope in scopes)
                description = operation.get("description", "")
                operation["description"] = f"{description}\n\n{_('Scopes')}: {names}".lstrip()
    return result
