"""The looks of the example project: the same pages with different base templates."""

from typing import Any

from django.http import HttpRequest

LOOKS = {
    "own": "Own",
    "built_in": "Built-in",
    "bootstrap": "Bootstrap",
    "pico": "Pico",
    "bulma": "Bulma",
    "admin": "Admin",
}

THEMES = {"auto": "Auto", "light": "Light", "dark": "Dark"}


def look(request: HttpRequest) -> dict[str, Any]:
    """Return the look and the theme that the visitor chose, and the choices."""
    look = chosen(request, "look", LOOKS)
    return {
        "look": look,
        "look_template": f"looks/{look}.html",
        "looks": LOOKS,
        "theme": chosen(request, "theme", THEMES),
        "themes": THEMES,
    }


def chosen(request: HttpRequest, name: str, choices: dict[str, str]) -> str:
    value = request.COOKIES.get(name)
    return value if value in choices else next(iter(choices))
