from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("account/tokens/", include("access_tokens.urls")),
    path("admin/", admin.site.urls),
]
