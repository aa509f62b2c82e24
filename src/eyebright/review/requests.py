"""Parses and validates the requests of the page: all input is untrusted."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from eyebright.review.entry import Change
from eyebright.review.listing import Query
from eyebright.review.refusal import Refusal
from eyebright.review.session import Action, ReviewSession

MAX_BODY_BYTES = 1_000_000
"""The maximum size of a request in bytes."""

MAX_PAGE_SIZE = 200
"""The maximum number of images of one page."""

_ACTION = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_MAX_TEXT_LENGTH = 1000
_QUERY = {"list", "offset", "limit", "query", "cell", "value", "likely", "unlikely", "state"}


def parse_body(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a request.

    Raises:
        Refusal: it is not a JSON object.
    """
    try:
        content = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal(400, "the request is not JSON") from None
    if not isinstance(content, dict):
        raise Refusal(400, "the request must be a JSON object")
    return content


def parse_query(text: str) -> dict[str, str]:
    """The parameters of an address.

    Raises:
        Refusal: there are too many parameters, or one is given twice.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise Refusal(400, "there are too many parameters") from None
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Refusal(400, "a parameter is given twice")
    return found


def images_query(parameters: Mapping[str, str]) -> Query:
    """The query of ``api/items``.

    Raises:
        Refusal: a parameter is unknown or has a wrong value.
    """
    if unknown := sorted(set(parameters) - _QUERY):
        raise Refusal(400, f"there is no parameter '{unknown[0][:100]}'")
    if any(len(value) > _MAX_TEXT_LENGTH for value in parameters.values()):
        raise Refusal(400, "a parameter is too long")
    limit = parse_integer(parameters.get("limit", "60"), "limit")
    if not 1 <= limit <= MAX_PAGE_SIZE:
        raise Refusal(400, f"`limit` is 1 to {MAX_PAGE_SIZE}")
    names = ("cell", "value", "likely", "unlikely", "state")
    return Query(
        parameters.get("list", "all"),
        parse_integer(parameters.get("offset", "0"), "offset"),
        limit,
        parameters.get("query", ""),
        **{name: parameters.get(name, "") for name in names},
    )


def parse_integer(text: str, name: str) -> int:
    """A whole number of an address, 0 or more.

    Raises:
        Refusal: it is not a whole number.
    """
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise Refusal(400, f"`{name}` is a whole number, got '{text[:50]}'")
    return int(text)


def action_name(body: Mapping[str, Any]) -> str:
    """The identifier of an action.

    Raises:
        Refusal: the identifier is missing or invalid.
    """
    name = body.get("action")
    if not isinstance(name, str) or not _ACTION.fullmatch(name):
        raise Refusal(400, "`action` is an identifier of the request: 1 to 100 letters, digits and characters of _.:-")
    return name


def action_reference(body: Mapping[str, Any]) -> int | str | None:
    """The action to undo or redo, from ``of``: its revision or its identifier; None if it is null.

    Raises:
        Refusal: the value is neither.
    """
    reference = body.get("of")
    if reference is not None and (not isinstance(reference, int | str) or isinstance(reference, bool)):
        raise Refusal(400, "`of` is the number or the identifier of an action, or null")
    return reference


def change_action(body: Mapping[str, Any], session: ReviewSession) -> Action:
    """The action of ``api/change``.

    Raises:
        Refusal: the action names an unknown image, cell or value, or a cell twice.
    """
    changes = [_change(entry, session) for entry in _list(body, "changes")]
    if len({(change.row, change.cell) for change in changes}) < len(changes):
        raise Refusal(400, "an action sets a cell of an image once")
    reviewed, unreviewed = (
        [_row(entry, session) for entry in _list(body, name)] for name in ("reviewed", "unreviewed")
    )
    return Action(action_name(body), changes, reviewed, unreviewed)


def _change(given: Any, session: ReviewSession) -> Change:
    if not isinstance(given, dict) or not {"id", "cell", "was", "now"} <= set(given):
        raise Refusal(400, "a change has 'id', 'cell', 'was' and 'now'")
    row, vocabulary = _row(given["id"], session), session.vocabulary
    vocabulary.column(given["cell"])
    was, now = (vocabulary.decode(vocabulary.encode(given[name])) for name in ("was", "now"))
    return Change(row, session.items.files[row], given["cell"], was, now)


def _row(given: Any, session: ReviewSession) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given < len(session.items):
        raise Refusal(400, f"there is no image {str(given)[:50]!r}")
    return given


def _list(body: Mapping[str, Any], name: str) -> list[Any]:
    given = body.get(name, [])
    if not isinstance(given, list):
        raise Refusal(400, f"`{name}` is a list")
    return given


def _no_constant(text: str) -> Any:
    """NaN and Infinity are not JSON."""
    raise ValueError(text)
