"""`Refusal`: the error of a request that is not executed."""

from collections.abc import Mapping
from typing import Any


class Refusal(Exception):  # noqa: N818 - it is an answer to the page, not a failure of the program
    """The error of a request that is not executed; nothing has changed.

    Args:
        status: the HTTP status.
        sentence: the request, the state and the remedy.
        details: additional members of the answer, such as the current images.
    """

    def __init__(self, status: int, sentence: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.details = status, sentence, dict(details or {})
