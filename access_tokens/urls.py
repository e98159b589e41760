from __future__ import annotations

from django.urls import path

from .views import (
    TokenCreateView,
    TokenDeleteView,
    TokenEndPreviousView,
    TokenListView,
    TokenRotateView,
)

app_name = "access_tokens"
urlpatterns = [
    path("", TokenListView.as_view(), name="list"),
    path("new/", TokenCreateView.as_view(), name="create"),
    path("<int:pk>/rotate/", TokenRotateView.as_view(), name="rotate"),
    path("<int:pk>/end-previous/", TokenEndPreviousView.as_view(), name="end_previous"),
    path("<int:pk>/delete/", TokenDeleteView.as_view(), name="delete"),
]
