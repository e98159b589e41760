"""The parameters of the list: ``?state=``, ``?search=`` and ``?ordering=``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend, OrderingFilter, SearchFilter
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.serializers import CharField, MultipleChoiceField
from rest_framework.views import APIView

from ..models import Token
from ..querysets import State


class StateFilter(BaseFilterBackend):
    """Keep the tokens in one of the states in ``?state=``, separated by commas."""

    state_param = "state"

    def filter_queryset(self, request: Request, queryset: Any, view: APIView) -> Any:
        value = request.query_params.get(self.state_param)
        if value is None:
            return queryset
        field = MultipleChoiceField(choices=list(State))
        try:
            states = field.run_validation(value.split(","))
        except ValidationError as error:
            raise ValidationError({self.state_param: error.detail}) from None
        return queryset.in_states(states)


class TokenSearchFilter(SearchFilter):
    """Refuse a text that is longer than a name, since a database may not accept it."""

    def get_search_terms(self, request: Request) -> list[str]:
        length = Token._meta.get_field("name").max_length
        term = CharField(trim_whitespace=False, allow_blank=True, max_length=length)
        try:
            term.run_validation(request.query_params.get(self.search_param, ""))
        except ValidationError as error:
            raise ValidationError({self.search_param: error.detail}) from None
        return super().get_search_terms(request)


class TokenOrderingFilter(OrderingFilter):
    """Order tokens with the same value by age, so that no page repeats or skips one."""

    def get_valid_fields(self, queryset: Any, view: Any, *args: Any) -> Any:
        fields = super().get_valid_fields(queryset, view, *args)
        if not isinstance(view.paginator, CursorPagination):
            return fields
        # A cursor can't point to null.
        nullable = {field.name for field in Token._meta.fields if field.null}
        return [(name, label) for name, label in fields if name not in nullable]

    def get_ordering(self, *args: Any) -> Sequence[str]:
        return [*(super().get_ordering(*args) or ()), "-id"]
