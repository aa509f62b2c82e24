"""`Refusal`: why a request of the page is not carried out."""

from collections.abc import Mapping
from typing import Any


class Refusal(Exception):  # noqa: N818 - it is an answer to the page, not a failure of the program
    """A request that is not carried out; nothing has changed.

    Args:
        status: of HTTP.
        sentence: what was asked, what is there, what to do.
        details: further members of the answer, such as the images as they are now.
    """

    def __init__(self, status: int, sentence: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.details = status, sentence, dict(details or {})
