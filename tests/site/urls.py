from django.urls import include, path

urlpatterns = [
    path("account/tokens/", include("networks.urls")),
    path("", include("example_project.urls")),
]
