from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import SuspiciousOperation
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser


class GuardedParser(BaseParser):
    """Make a parser of the site answer 400 to every body that it can't read."""

    def __init__(self, parser: BaseParser) -> None:
        self.parser = parser
        self.media_type = parser.media_type

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            data = self.parser.parse(*args, **kwargs)
            # JSON can escape lone surrogates, but an answer that repeats them can't be encoded.
            json.dumps(data, ensure_ascii=False, skipkeys=True, default=str).encode()
        except (APIException, SuspiciousOperation):
            raise
        except Exception as error:
            # For example a RecursionError, or what an unusual charset raises.
            raise ParseError from error
        return data
