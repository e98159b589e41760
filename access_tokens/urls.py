from __future__ import annotations

from django.urls import path

from .views import TokenCreateView, TokenDeleteView, TokenListView

app_name = "access_tokens"
urlpatterns = [
    path("", TokenListView.as_view(), name="list"),
    path("new/", TokenCreateView.as_view(), name="create"),
    path("<int:pk>/delete/", TokenDeleteView.as_view(), name="delete"),
]
