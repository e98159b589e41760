from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rest_framework.views  # noqa: F401  # It keeps the classes that it finds when first imported.
from django.core.checks import WARNING, CheckMessage, run_checks
from django.template import Context, Library, Node, NodeList
from django.template.base import Parser, Token
from django.urls import clear_url_caches, include, path, resolve, reverse_lazy
from django.utils.module_loading import import_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy
from docutils.nodes import make_id  # type: ignore[import-untyped]  # it has none
from pytest_django import Settings
from rest_framework import decorators
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from access_tokens.api.views import TokenViewSet
from access_tokens.authentication import AccessTokenAuthentication
from access_tokens.checks.links import DOCUMENTATION
from access_tokens.checks.rest_framework import check_required_scopes
from access_tokens.conf import DEFAULTS
from access_tokens.decorators import required_scopes

OURS = "access_tokens.authentication.AccessTokenAuthentication"
SESSION = "rest_framework.authentication.SessionAuthentication"

SCOPES = {"read": "Read", "write": "Write", "reports": "Run reports"}


class KeywordAuthentication(AccessTokenAuthentication):
    keyword = "Token"


class Unrelated:
    pass


class HasUrl:
    def get_absolute_url(self) -> str:
        return "/api/"


api_view = resolve("/api/").func
register = Library()


class FrameNode(Node):
    """A block tag whose author did not know of ``child_nodelists``."""

    child_nodelists = None

    def __init__(self, inner: NodeList) -> None:
        self.inner = inner

    def render(self, context: Context) -> SafeString:
        return self.inner.render(context)


@register.tag
def frame(parser: Parser, token: Token) -> FrameNode:
    inner = parser.parse(("endframe",))
    parser.delete_first_token()
    return FrameNode(inner)


def found() -> dict[str, CheckMessage]:
    """Return what ``manage.py check`` says of this app, by id."""
    messages = [m for m in run_checks() if (m.id or "").startswith("access_tokens.")]
    for message in messages:
        # Sphinx makes the anchors of headings by this function.
        link = f" See {DOCUMENTATION}#{make_id(str(message.id))}"
        assert str(message.hint).endswith(link)
        message.hint = str(message.hint).removesuffix(link)
        assert message.hint
    by_id = {message.id or "": message for message in messages}
    assert len(by_id) == len(messages)
    return by_id


@pytest.mark.parametrize("configured", [{}, dict(DEFAULTS)])
def test_defaults_are_right(settings: Settings, configured: dict[str, Any]) -> None:
    settings.ACCESS_TOKENS = configured

    assert found() == {}


def test_setting_may_be_missing(settings: Settings) -> None:
    del settings.ACCESS_TOKENS

    assert found() == {}


@pytest.mark.parametrize("configured", [None, [], "pat", [("PREFIX", "pat")]])
def test_settings_must_be_a_dictionary(settings: Settings, configured: Any) -> None:
    settings.ACCESS_TOKENS = configured

    assert list(found()) == ["access_tokens.E001"]


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("PREFIXX", "Did you mean 'PREFIX'?"),
        ("prefix", "Did you mean 'PREFIX'?"),
        ("EXPIRY_DAY", "Did you mean 'EXPIRY_DAYS'?"),
        ("LAST_USED", "Did you mean 'LAST_USED_RESOLUTION'?"),
        ("TEMPLATE_BASE", "Did you mean 'BASE_TEMPLATE'?"),
        ("API", "Did you mean 'API_URL'?"),
        ("TTL", f"The keys are {', '.join(DEFAULTS)}."),
        (1, f"The keys are {', '.join(DEFAULTS)}."),
    ],
)
def test_unknown_key_gets_the_nearest_right_one(settings: Settings, key: Any, hint: str) -> None:
    settings.ACCESS_TOKENS = {key: None}

    message = found()["access_tokens.E002"]
    assert repr(key) in message.msg
    assert message.hint == hint


def test_each_unknown_key_is_named(settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"A": 1, "B": 2}

    assert [m.msg for m in run_checks() if m.id == "access_tokens.E002"] == [
        "There is no setting ACCESS_TOKENS['A'].",
        "There is no setting ACCESS_TOKENS['B'].",
    ]


VALUES: dict[str, tuple[str, list[Any], list[Any]]] = {
    # key: (id, right values, wrong values)
    "PREFIX": (
        "E003",
        ["a", "pat", "acme_live", "a" * 20, "x9_"],
        ["", "Pat", "9a", "_a", "a-b", "a" * 21, "pat\n", "päť", b"pat", None, 1],
    ),
    "LAST_USED_RESOLUTION": (
        "E004",
        [None, timedelta(0), timedelta(microseconds=1), timedelta(days=1)],
        [timedelta(seconds=-1), timedelta.max, 60, 0, "60", False],
    ),
    "LAST_USED_SYNCHRONOUS_COMMIT": ("E012", [False, True], [None, 0, "off"]),
    "BASE_TEMPLATE": ("E005", ["base.html"], ["", None, 5, Path("base.html"), ["base.html"]]),
    "API_URL": (
        "E006",
        ["/", "/api/", "https://api.example.com/", "api", reverse_lazy("api"), HasUrl(), api_view],
        ["", None, 5, "/a b/", " ", "api/v1/"],
    ),
    "EXPIRY_DAYS": (
        "E007",
        [[], (), [90], (90, None), [1, 90, 36_500]],
        [None, 90, "90", {90}, [0], [-1], [36_501], [90, 90], [True], [90.0], ["90"], [[90]]],
    ),
    "EXPIRY_DEFAULT_DAYS": ("E008", [90, 7, None], [0, -1, 36_501, "90", True, 90.0, [90]]),
    "MAX_EXPIRY_DAYS": ("E013", [1, 36_500, None], [0, -1, 36_501, "90", True, 90.0]),
    "MAX_TOKENS_PER_USER": ("E014", [1, 50, None], [0, -1, "50", True, 50.0]),
    "ROTATION_OVERLAP": (
        "E015",
        [None, timedelta(0), timedelta(days=36_500)],
        [timedelta(-1), timedelta(days=36_500, microseconds=1), 24, "1"],
    ),
    "SCOPES": (
        "E016",
        [
            {},
            SCOPES | {"write": gettext_lazy("Write")},
            SCOPES,
            SCOPES | {"repo:status/!#~[]": "Any name"},
        ],
        [
            None,
            ["read", "write"],
            {"read": "Read"},
            {"write": "Write"},
            SCOPES | {"": "Label"},
            SCOPES | {"a b": "Label"},
            SCOPES | {'"': "Label"},
            SCOPES | {"\\": "Label"},
            SCOPES | {"é": "Label"},
            SCOPES | {"a\n": "Label"},
            SCOPES | {1: "Label"},
            SCOPES | {"admin": ""},
            SCOPES | {"admin": None},
        ],
    ),
    "EMAIL_ON_CREATION": ("E017", [False, True], [None, 1, "on"]),
    "MAY_CREATE": (
        "E020",
        [None, bool, lambda user: True, "django.contrib.auth.get_user"],
        [
            True,
            1,
            [],
            "",
            "auth",
            "nowhere.rule",
            "django.contrib.auth.nothing",
            "os.sep",
            "django.contrib.auth.aget_user",
        ],
    ),
    "SELF_ROTATION": ("E021", [False, True], [None, 1, "on"]),
    "LEGACY_FORMATS": (
        "E022",
        [[], ("knox",), ["authtoken", "knox", "api-key"]],
        [None, "knox", {"knox"}, ["Knox"], ["knox", []]],
    ),
    "REJECTION_RATE": (
        "E023",
        [None, "1/s", "100/min", "5000/hour", "10/day"],
        [
            "",
            "100",
            100,
            "0/min",
            "-1/min",
            "1.5/min",
            "100/week",
            "100/5m",
            "100/min\n",
            "100 /min",
        ],
    ),
}


def test_each_setting_has_a_rule() -> None:
    assert VALUES.keys() == DEFAULTS.keys()


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, (_, right, _) in VALUES.items() for value in right]
)
def test_right_value_is_right(settings: Settings, key: str, value: Any) -> None:
    settings.ACCESS_TOKENS = {key: value}

    assert found() == {}


@pytest.mark.parametrize(
    ("key", "number", "value"),
    [(key, number, value) for key, (number, _, wrong) in VALUES.items() for value in wrong],
)
def test_wrong_value_is_named(settings: Settings, key: str, number: str, value: Any) -> None:
    settings.ACCESS_TOKENS = {key: value}

    messages = found()
    assert list(messages) == [f"access_tokens.{number}"]
    assert f"ACCESS_TOKENS[{key!r}] is {value!r}." == messages[f"access_tokens.{number}"].msg


@pytest.mark.parametrize("url", ["nowhere", reverse_lazy("nowhere")])
def test_url_that_leads_nowhere_is_named(settings: Settings, url: Any) -> None:
    settings.ACCESS_TOKENS = {"API_URL": url}

    assert "'nowhere'" in found()["access_tokens.W003"].msg


def test_url_is_not_judged_without_a_urlconf(settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"API_URL": "api"}
    del settings.ROOT_URLCONF
    clear_url_caches()

    assert "access_tokens.W003" not in found()


@pytest.mark.parametrize(
    "configured",
    [
        {"EXPIRY_DAYS": [7]},
        {"EXPIRY_DAYS": [7, 90], "EXPIRY_DEFAULT_DAYS": None},
        {"EXPIRY_DEFAULT_DAYS": 8},
    ],
)
def test_default_expiration_must_be_offered(settings: Settings, configured: dict[str, Any]) -> None:
    settings.ACCESS_TOKENS = configured

    assert list(found()) == ["access_tokens.E009"]


@pytest.mark.parametrize(("days", "named"), [([30, 60, 90], "60, 90"), ([30, 7, None], "None")])
def test_offered_expiration_should_be_within_the_limit(
    settings: Settings, days: list[int | None], named: str
) -> None:
    settings.ACCESS_TOKENS = {"EXPIRY_DAYS": days, "EXPIRY_DEFAULT_DAYS": 30, "MAX_EXPIRY_DAYS": 30}

    assert f"has {named}, which is more" in found()["access_tokens.W010"].msg


@pytest.mark.parametrize(
    "configured",
    [
        {"MAX_EXPIRY_DAYS": 30},
        {"EXPIRY_DAYS": [7, 30], "EXPIRY_DEFAULT_DAYS": 30, "MAX_EXPIRY_DAYS": 30},
        {"EXPIRY_DAYS": [], "MAX_EXPIRY_DAYS": 30},
        {"EXPIRY_DAYS": [90, None]},
    ],
)
def test_expirations_that_fit_the_limit_pass(
    settings: Settings, configured: dict[str, Any]
) -> None:
    settings.ACCESS_TOKENS = configured

    assert "access_tokens.W010" not in found()


@pytest.mark.parametrize(
    ("backend", "counts"),
    [
        ("locmem.LocMemCache", True),
        ("redis.RedisCache", True),
        ("dummy.DummyCache", False),
        ("db.DatabaseCache", False),
        ("filebased.FileBasedCache", False),
    ],
)
def test_cache_must_count_in_one_step(settings: Settings, backend: str, counts: bool) -> None:
    path = f"django.core.cache.backends.{backend}"
    settings.CACHES = {"default": {"BACKEND": path, "LOCATION": "/nowhere"}}
    assert found() == {}

    settings.ACCESS_TOKENS = {"REJECTION_RATE": "100/min"}
    assert list(found()) == ([] if counts else ["access_tokens.W007"])


# The base template.


@pytest.fixture
def templates(tmp_path: Path, settings: Settings) -> Path:
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    settings.ACCESS_TOKENS = {"BASE_TEMPLATE": "site.html"}
    return tmp_path


HAS_CONTENT = "<main>{% block content %}{% endblock %}</main>"


@pytest.mark.parametrize(
    "sources",
    [
        {"site.html": HAS_CONTENT},
        {"site.html": "{% extends 'root.html' %}", "root.html": HAS_CONTENT},
        {
            "site.html": "{% extends 'root.html' %}"
            "{% block body %}{% block content %}{% endblock %}{% endblock %}",
            "root.html": "{% block body %}{% endblock %}",
        },
        {
            "site.html": "{% extends 'middle.html' %}",
            "middle.html": "{% extends 'root.html' %}",
            "root.html": HAS_CONTENT,
        },
        {
            "site.html": "{% extends 'root.html' %}",
            "root.html": "{% load access_tokens %}{% access_tokens_table %}" + HAS_CONTENT,
        },
    ],
)
def test_base_template_that_shows_the_content_is_right(
    templates: Path, sources: dict[str, str]
) -> None:
    for name, source in sources.items():
        templates.joinpath(name).write_text(source)

    assert found() == {}


def test_base_template_may_extend_its_namesake(templates: Path, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"BASE_TEMPLATE": "access_tokens/base.html"}
    templates.joinpath("access_tokens").mkdir()
    templates.joinpath("access_tokens/base.html").write_text(
        "{% extends 'access_tokens/base.html' %}{% block site_name %}Acme{% endblock %}"
    )

    assert found() == {}


@pytest.mark.parametrize(
    "sources",
    [
        {},
        {"site.html": "{% block content %}"},
        {"site.html": "{% load nothing_of_that_name %}"},
    ],
)
def test_base_template_that_cannot_be_loaded_is_named(
    templates: Path, sources: dict[str, str]
) -> None:
    for name, source in sources.items():
        templates.joinpath(name).write_text(source)

    messages = found()
    assert list(messages) == ["access_tokens.E010"]
    assert "'site.html'" in messages["access_tokens.E010"].msg


def test_missing_parent_of_the_base_template_is_named(templates: Path) -> None:
    templates.joinpath("site.html").write_text("{% extends 'nowhere.html' %}")

    assert "nowhere.html" in found()["access_tokens.W005"].msg


def test_broken_template_of_a_page_does_not_break_the_check(templates: Path) -> None:
    templates.joinpath("site.html").write_text(HAS_CONTENT)
    templates.joinpath("access_tokens").mkdir()
    templates.joinpath("access_tokens/token_list.html").write_text("{% nosuch %}")

    assert found() == {}


def test_base_template_may_escape_its_content(templates: Path) -> None:
    source = "{% filter force_escape %}" + HAS_CONTENT + "{% endfilter %}"
    templates.joinpath("site.html").write_text(source)

    assert found() == {}


def test_warning_about_a_setting_leaves_the_base_template_checked(
    templates: Path, settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"BASE_TEMPLATE": "site.html", "API_URL": "nowhere"}

    assert found().keys() == {"access_tokens.W003", "access_tokens.E010"}


@pytest.mark.parametrize(
    "source",
    [
        "{% extends parent %}{% block content %}{% endblock %}",
        "{% include request.theme.template %}",
        "{% url request.resolver_match.view_name %}",
    ],
)
def test_base_template_that_needs_a_request_is_not_judged(templates: Path, source: str) -> None:
    templates.joinpath("site.html").write_text(source)

    assert found() == {}


@pytest.mark.parametrize(
    "sources",
    [
        {"site.html": ""},
        {"site.html": "{% block main %}{% endblock %}"},
        {"site.html": "{% if user %}{% block content %}{% endblock %}{% endif %}"},
        {"site.html": "{% extends 'root.html' %}" + HAS_CONTENT, "root.html": "<main></main>"},
        {"site.html": "{% include 'part.html' %}", "part.html": HAS_CONTENT},
    ],
)
def test_base_template_that_may_not_show_the_content_is_a_warning(
    templates: Path, sources: dict[str, str]
) -> None:
    for name, source in sources.items():
        templates.joinpath(name).write_text(source)

    (message,) = found().values()
    assert (message.id, message.level) == ("access_tokens.W004", WARNING)


@pytest.mark.parametrize("base", ["site.html", "root.html"])
def test_base_template_may_have_block_tags_of_others(
    templates: Path, settings: Settings, base: str
) -> None:
    library = {"libraries": {"others": f"{__name__}"}}
    (engine,) = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "OPTIONS": engine["OPTIONS"] | library}]
    settings.ACCESS_TOKENS = {"BASE_TEMPLATE": base}
    templates.joinpath("site.html").write_text("{% extends 'root.html' %}")
    templates.joinpath("root.html").write_text(
        "{% load others %}{% frame %}" + HAS_CONTENT + "{% endframe %}"
    )

    assert found() == {}


def test_base_template_is_that_of_the_engine_that_renders(
    templates: Path, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (engine,) = settings.TEMPLATES
    mails = {**engine, "NAME": "mails", "APP_DIRS": False, "DIRS": [tmp_path_factory.mktemp("m")]}
    settings.TEMPLATES = [mails, engine]
    templates.joinpath("site.html").write_text(HAS_CONTENT)

    assert found() == {}


@pytest.mark.parametrize(
    "engines", [[], [{"BACKEND": "django.template.backends.dummy.TemplateStrings"}]]
)
def test_site_without_django_templates_needs_no_base_template(
    settings: Settings, engines: list[dict[str, str]]
) -> None:
    settings.TEMPLATES = engines
    settings.ACCESS_TOKENS = {"BASE_TEMPLATE": "nowhere.html"}

    assert found() == {}


# The authentication classes.


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ([OURS], None),
        ([OURS, SESSION], None),
        ((AccessTokenAuthentication, SessionAuthentication), None),
        ([KeywordAuthentication], None),
        ([f"{__name__}.KeywordAuthentication", SESSION], None),
        ([SESSION, OURS], "W002"),
        ([SessionAuthentication, KeywordAuthentication], "W002"),
        ([SESSION], "W001"),
        ([Unrelated], "W001"),
        ([], "W001"),
    ],
)
def test_class_is_the_first(settings: Settings, classes: Any, expected: str | None) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": classes}

    assert list(found()) == ([f"access_tokens.{expected}"] if expected else [])


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("authtoken", "rest_framework.authentication.TokenAuthentication"),
        ("knox", "knox.auth.TokenAuthentication"),
    ],
)
def test_class_whose_secrets_all_come_to_ours_is_warned_about(
    settings: Settings, name: str, path: str
) -> None:
    import_string(path)
    settings.REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": [OURS, path]}
    assert found() == {}

    settings.ACCESS_TOKENS = {"LEGACY_FORMATS": [name]}
    assert list(found()) == ["access_tokens.W008"]
    settings.REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": [OURS, SESSION]}
    assert found() == {}


def test_class_is_missed_where_drf_has_its_defaults(settings: Settings) -> None:
    settings.REST_FRAMEWORK = {}

    assert list(found()) == ["access_tokens.W001"]


def test_class_is_missed_where_drf_is_not_configured(settings: Settings) -> None:
    del settings.REST_FRAMEWORK

    assert list(found()) == ["access_tokens.W001"]


@pytest.mark.parametrize("path", ["no.such.Class", f"{OURS}s"])
def test_class_that_cannot_be_imported_does_not_stop_the_checks(
    settings: Settings, path: str
) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": [path]}

    assert list(found()) == ["access_tokens.W001"]


@pytest.mark.parametrize("classes", [OURS, [object()], None])
def test_setting_that_is_no_list_of_classes_does_not_stop_the_checks(
    settings: Settings, classes: object
) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": classes}

    assert list(found()) == ["access_tokens.W001"]


def test_site_without_drf_needs_no_class(settings: Settings) -> None:
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "rest_framework"]
    settings.REST_FRAMEWORK = {}

    assert found() == {}


# The scopes that views need.


class ReportView(APIView):
    def get(self, request: Request) -> Response:
        raise NotImplementedError


class ReportViewSet(ViewSet):
    required_scopes: Any = None

    def list(self, request: Request) -> Response:
        raise NotImplementedError

    @decorators.action(detail=False, required_scopes=["report"])
    def run(self, request: Request) -> Response:
        raise NotImplementedError


def route(settings: Settings, view: Any) -> None:
    """Let the site have ``view`` on two paths, and ``SCOPES``."""
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}
    settings.ROOT_URLCONF = (path("a/", view), path("b/", include(([path("c/", view)], "b"))))


@pytest.mark.parametrize(
    ("classes", "is_found"),
    [
        ([AccessTokenAuthentication, SessionAuthentication], False),
        ([SessionAuthentication, KeywordAuthentication], False),
        ([AccessTokenAuthentication], True),
        ([SessionAuthentication], True),
        ([], True),
        (None, True),
    ],
)
def test_api_needs_a_class_for_users_and_one_for_tokens(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, classes: Any, is_found: bool
) -> None:
    settings.ACCESS_TOKENS = {}
    monkeypatch.setattr(TokenViewSet, "authentication_classes", classes)
    settings.ROOT_URLCONF = (path("a/", include("access_tokens.api.urls")),)

    assert list(found()) == (["access_tokens.W006"] if is_found else [])


def test_scopes_of_an_endpoint_that_refuses_tokens_do_not_matter(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}
    settings.ROOT_URLCONF = (path("a/", TokenViewSet.as_view({"get": "list"})),)
    monkeypatch.setattr(TokenViewSet, "required_scopes", ["nothing"])
    assert list(found()) == []

    view = TokenViewSet.as_view({"get": "retrieve_self"}, is_for_token=True)
    settings.ROOT_URLCONF = (path("a/", view),)
    assert list(found()) == ["access_tokens.E019"]


@pytest.mark.parametrize(
    ("required", "expected"),
    [
        (None, None),
        ([], None),
        (["reports"], None),
        (("read", "reports"), None),
        ({"GET": ["reports"], "POST": [], "metadata": []}, None),
        ("reports", "E018"),
        (["report"], "E019"),
        ({"GET": "reports"}, "E018"),
        ({"GET": ["report"]}, "E019"),
        ({"get": ["reports"]}, "E018"),
        ({"list": ["reports"]}, "E018"),
        ({1: ["reports"]}, "E018"),
        ([["reports"]], "E018"),
        ({"reports"}, "E018"),
    ],
)
def test_view_must_name_its_scopes_in_lists(
    settings: Settings, required: Any, expected: str | None
) -> None:
    view: Any = type("View", (ReportView,), {"required_scopes": required})
    route(settings, view.as_view())

    assert list(found()) == ([f"access_tokens.{expected}"] if expected else [])


def test_unknown_scope_is_named_with_its_view(settings: Settings) -> None:
    route(settings, ReportViewSet.as_view({"get": "list"}, required_scopes=["report", "read"]))

    message = found()["access_tokens.E019"]
    assert message.msg == (
        "tests.test_checks.ReportViewSet.required_scopes names 'report', "
        "which is not in ACCESS_TOKENS['SCOPES']."
    )
    assert message.hint == "The scopes are read, write, reports."


@required_scopes(["report"])
@decorators.api_view()
def report(request: Request) -> Response:
    raise NotImplementedError


def routed(viewset: type[ViewSet]) -> Any:
    router = SimpleRouter()
    router.register("reports", viewset, basename="report")
    return include(router.urls)


class OtherReportViewSet(ReportViewSet):
    authentication_classes = [SessionAuthentication]


@pytest.mark.parametrize("view", [report, routed(ReportViewSet)], ids=["api_view", "action"])
def test_every_kind_of_view_is_checked(settings: Settings, view: Any) -> None:
    route(settings, view)

    assert list(found()) == ["access_tokens.E019"]


def test_actions_of_a_view_may_have_their_own_scopes(settings: Settings) -> None:
    view: Any = type("View", (ReportViewSet,), {"required_scopes": {"list": ["read"], "run": []}})
    route(settings, view.as_view({"get": "list"}))

    assert found() == {}


def test_view_that_takes_no_access_tokens_may_mean_scopes_of_another_package(
    settings: Settings,
) -> None:
    route(settings, routed(OtherReportViewSet))

    assert found() == {}


def test_view_may_say_anything_where_scopes_are_off(settings: Settings) -> None:
    route(settings, report)
    settings.ACCESS_TOKENS = {}

    assert found() == {}


def test_broken_urlconf_does_not_stop_the_check(settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}
    settings.ROOT_URLCONF = "no.such.urlconf"

    assert check_required_scopes() == []
