from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.generic import TemplateView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from example_project import views

urlpatterns = [
    path("", TemplateView.as_view(template_name="home.html"), name="home"),
    path("account/login/", LoginView.as_view(), name="login"),
    path("account/logout/", LogoutView.as_view(), name="logout"),
    path("account/tokens/", include("access_tokens.urls")),
    path("look/", views.LookView.as_view(), name="look"),
    # The cookie is what the page sends back to the API in a header.
    path(
        "single-page/",
        ensure_csrf_cookie(TemplateView.as_view(template_name="single_page.html")),
        name="single_page",
    ),
    path("admin/", admin.site.urls),
    path("api/", views.IndexView.as_view(), name="api"),
    path("api/tokens/", include("access_tokens.api.urls")),
    path("api/me/", views.MeView.as_view(), name="me"),
    path("api/notes/", views.NoteListView.as_view(), name="notes"),
    path("api/reports/", views.report, name="reports"),
    path("api/error/", views.ErrorView.as_view(), name="error"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(), name="docs"),
]
