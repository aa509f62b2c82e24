"""`next_step`: the next step for images without labels, and its place in the page."""

from typing import Any

import numpy as np
from jaxtyping import Float

from eyebright.evaluation.next_action import START, NextAction, next_action, next_class_action
from eyebright.review.listing import Lists
from eyebright.review.session import ReviewSession

_JUDGED = 20_000  # most images by which actions are chosen, so that the page gets its answer quickly


def next_step(session: ReviewSession, lists: Lists, *, can_learn: bool) -> dict[str, Any]:
    """The proposed next step.

    The first images are labelled one by one (``start``); then the model learns (``learn``); then the action follows
    that sets the most labels for each key press or click, see `eyebright.evaluation.next_action`.

    Args:
        session: the known values and the predictions of a model.
        lists: the lists of images.
        can_learn: whether there is a model that can learn.

    Returns:
        ``kind``: start, learn, grid, image or done, or none where nothing came without labels; ``left``: images that
        are not finished; ``place`` of the page, or None; of a grid its ``label``, the ``answer`` (yes or no) that all
        images get, and their ``count``; of a start how many images are ``labelled`` and ``wanted``.
    """
    with session.lock:
        rows = lists.unfinished()
        n_unlabelled = int(session.unlabelled.sum())
        answers, names, current = session.answers, session.vocabulary.names, session.current
        if not n_unlabelled or not names or not session.vocabulary.has_probabilities or not can_learn:
            return {"kind": "none", "left": len(rows), "place": None}
        if not len(rows):
            return {"kind": "done", "left": 0, "place": None}
        labelled = len(session.items) - n_unlabelled + int((session.unlabelled & session.known()).sum())
        suggested = lists.suggested()
    if labelled < min(START, len(session.items)) and len(suggested):
        facts = {"labelled": labelled, "wanted": min(START, len(session.items))}
        return {"kind": "start", "left": len(rows), "place": _place("suggested", 0), **facts}
    if answers is None or answers.suggested is None:
        return {"kind": "learn", "left": len(rows), "place": None}
    every = max(len(rows) // _JUDGED, 1)  # a grid shows the surest of all images: at least as sure as those judged by
    judged = rows[::every]
    probabilities = np.full((len(judged), len(names)), np.nan, dtype=np.float32)
    if answers.probabilities is not None:
        column = {name: k for k, name in enumerate(names)}
        probabilities[:, [column[name] for name in answers.names]] = answers.probabilities[judged]
    action = _action(session, current[judged], probabilities, labelled)
    return {"left": len(rows), **_shown(action, every, names)}


def _action(
    session: ReviewSession, current: Float[np.ndarray, "u c w"], probabilities: Float[np.ndarray, "u k"], labelled: int
) -> NextAction:
    """The next action; its rows are indices into these arrays."""
    nothing = np.zeros(0, dtype=np.int64)
    if session.vocabulary.is_exclusive:
        return next_class_action(probabilities, ~np.isnan(current[:, 0, 0]), nothing, elsewhere=labelled)
    return next_action(probabilities, current[:, :, 0], nothing, elsewhere=labelled)


def _shown(action: NextAction, every: int, names: tuple[str, ...]) -> dict[str, Any]:
    """The action for the page; it was chosen on a regular sample of the unfinished images."""
    if action.kind == "image":
        return {"kind": "image", "place": _place("unfinished", int(action.rows[0]) * every)}
    label, count = names[action.label], len(action.rows)
    order = {"likely" if action.answer else "unlikely": label}
    place = {**_place("unfinished", 0), "view": "grid", **order, "count": count}
    return {"kind": "grid", "label": label, "answer": "yes" if action.answer else "no", "count": count, "place": place}


def _place(name: str, at: int) -> dict[str, Any]:
    """The place in the page with all of its parts, so that no part of the former place remains."""
    nothing = dict.fromkeys(("query", "state", "cell", "value", "likely", "unlikely", "count"), "")
    return {**nothing, "list": name, "view": "single", "at": at}
