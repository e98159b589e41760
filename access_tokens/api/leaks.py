"""A view to which anyone can report leaked tokens, for sites that route to it."""

from __future__ import annotations

import json
from typing import Any, Final

from django.db import Error, transaction
from django.utils.decorators import method_decorator
from rest_framework import serializers, status
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ..leaks import revoke_leaked
from ..throttling import AddressThrottle

MAX_TOKENS: Final = 1_000
# Twice the size of that many tokens of the greatest length.
MAX_BYTES: Final = 150_000


class LeakThrottle(AddressThrottle):
    scope = "leaks"
    rate = "60/hour"


class LimitedJSONParser(BaseParser):
    """Parse JSON, and refuse what is too large, too deep, or in an encoding that JSON doesn't have."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            body = stream.read(MAX_BYTES + 1)
            return json.loads(body if len(body) <= MAX_BYTES else b"")
        except (OSError, RecursionError, ValueError):  # OSError: the client hung up
            raise ParseError from None


class LeakedTokensSerializer(serializers.Serializer[Any]):
    # A value that isn't a token gives no access, so it isn't an error.
    tokens = serializers.ListField(max_length=MAX_TOKENS)


# Each token is committed on its own, so that all others are deleted if one can't be.
@method_decorator(transaction.non_atomic_requests, name="dispatch")
class RevokeLeakedTokensView(APIView):
    """Revoke the access tokens in `{"tokens": […]}`. Having a token is enough to end it.

    The answer is empty and doesn't tell whether a token is known: 202, or 503 to send them again.
    """

    # Whatever the site's defaults are.
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = (LeakThrottle,)
    parser_classes = (LimitedJSONParser,)
    renderer_classes = (JSONRenderer,)
    versioning_class = None
    serializer_class = LeakedTokensSerializer

    def post(self, request: Request) -> Response:
        try:
            # No variable holds the tokens here: an error report would show them.
            is_done = not revoke_leaked(self.reported(request)).failed
        except Error:
            is_done = False
        return Response(
            status=status.HTTP_202_ACCEPTED if is_done else status.HTTP_503_SERVICE_UNAVAILABLE
        )

    def reported(self, request: Request) -> list[Any]:
        """Return the tokens in the body, or raise ``ValidationError``."""
        serializer = self.serializer_class(data=request.data)
        serializer.is_valid(raise_exception=True)
        tokens: list[Any] = serializer.validated_data["tokens"]
        return tokens

    def perform_content_negotiation(
        self, request: Request, force: bool = False
    ) -> tuple[BaseRenderer, str]:
        # The answer is empty, so a report counts whatever its header Accept says.
        return super().perform_content_negotiation(request, force=True)
