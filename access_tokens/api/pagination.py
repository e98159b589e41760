from __future__ import annotations

from typing import Any

from rest_framework.pagination import PageNumberPagination
from rest_framework.settings import api_settings


class OwnPagination(PageNumberPagination):
    page_size = 50


TokenPagination: Any = api_settings.DEFAULT_PAGINATION_CLASS or OwnPagination
