from __future__ import annotations

from rest_framework.routers import SimpleRouter

from .views import TokenViewSet

app_name = "access_tokens_api"

router = SimpleRouter(use_regex_path=False)
router.register("", TokenViewSet, basename="token")

urlpatterns = router.urls
