"""The lists of a review, their filters, and the images of a page as the browser gets them."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from eyebright.review.items import Answers, Ids
from eyebright.review.refusal import Refusal
from eyebright.review.session import ReviewSession
from eyebright.review.values import UNKNOWN, Vocabulary

_ABOUT = {
    "suggested": (
        "suggested",
        "images without labels; after Learn the most informative first, before it by file name",
    ),
    "unfinished": (
        "unfinished",
        "images without labels in the data that have an unknown label and are not confirmed yet",
    ),
    "suspects": ("suspects", "labels that are probably wrong or missing, the most suspicious first"),
    "asked": ("asked for a person", "images about which the model is uncertain"),
    "mistakes": ("worst mistakes", "images whose predictions differ most from their labels"),
    "all": ("all", "all images, in the order of their names"),
}
_MOST_PROBABLE = 8  # classes of an image that are sent to the page
_NAMES_IN_REASON = 4


@dataclass(frozen=True)
class Query:
    """The query for a page of images.

    Args:
        list: the name of the list, see `Lists`.
        offset: the number of images to skip.
        limit: the maximum number of images.
        text: a text that the file names contain, in upper or lower case.
        cell: with ``value``: only images with this value in this cell.
        value: the value of ``cell``.
        likely: order by decreasing probability of this label; without a ``state`` only images where it is unknown.
        unlikely: the same by increasing probability.
        state: ``"changed"``, ``"reviewed"`` or ``"left"``; empty: any.
    """

    list: str = "all"
    offset: int = 0
    limit: int = 60
    text: str = ""
    cell: str = ""
    value: str = ""
    likely: str = ""
    unlikely: str = ""
    state: str = ""


@dataclass(frozen=True)
class _FixedLists:
    """The lists that do not change while a person works through them.

    Args:
        answers: the predictions of the model that the lists are computed from.
        ids: the images, by the names of the lists.
    """

    answers: Answers | None
    ids: Mapping[str, Ids]


class Lists:
    """The lists of a session; those of a model's predictions are computed once for these predictions.

    Args:
        session: the images and their known values.
    """

    def __init__(self, session: ReviewSession) -> None:
        self._session = session
        self._lower = [file.lower() for file in session.items.files]
        self._all: Ids = np.array(sorted(range(len(self._lower)), key=session.items.files.__getitem__), dtype=np.int64)
        self._fixed = self._prepared = self._fixed_lists(session.answers)

    def prepare(self, answers: Answers) -> None:
        """Computes the lists for new predictions before the session gets them, so that no request has to wait.

        Args:
            answers: the predictions of the model.
        """
        self._prepared = self._fixed_lists(answers)

    def ids(self, name: str) -> Ids:
        """The images of a list, in its order.

        Raises:
            Refusal: the list is unknown.
        """
        lists = self._lists()
        if name not in lists:
            raise Refusal(400, f"there is no list '{name[:100]}'; there are {', '.join(lists)}")
        return lists[name]

    def summary(self) -> list[dict[str, Any]]:
        """The lists for the page, with the number of images and of unreviewed images."""
        left = self._session.left()
        return [
            {
                "id": name,
                "name": _ABOUT[name][0],
                "about": _ABOUT[name][1],
                "count": len(ids),
                "left": len(ids) if name == "unfinished" else int(left[ids].sum()),
            }
            for name, ids in self._lists().items()
        ]

    def page(self, query: Query) -> tuple[int, list[dict[str, Any]]]:
        """(number of images that the query finds, the images of the page).

        Raises:
            Refusal: the list, cell, value or label is unknown.
        """
        with self._session.lock:
            ids = self._filtered(self.ids(query.list), query)
            rows = ids[query.offset : query.offset + query.limit].tolist()
            return len(ids), [self.item(row, query.list) for row in rows]

    def item(self, row: int, name: str = "") -> dict[str, Any]:
        """An image for the page.

        Args:
            row: the image.
            name: the list in which it is shown, for the reason.
        """
        session = self._session
        answers = session.answers
        vocabulary = session.vocabulary
        return {
            "id": row,
            "file": session.items.files[row],
            "given": vocabulary.row(session.given[row]),
            "current": vocabulary.row(session.current[row]),
            "predicted": {} if answers is None else _predicted(session, answers, row),
            "probability": {} if answers is None else _probabilities(answers, row, vocabulary),
            "reviewed": bool(session.reviewed[row]),
            "changed": bool(session.changed[row]),
            "missing": not os.path.exists(session.items.path(row)),  # noqa: PTH110 - 60 of them in a page
            "reason": self._reason(row, name),
            "suspect": session.suspects.to_json(row),
        }

    # ------------------------------------------------------------------ lists

    def _lists(self) -> Mapping[str, Ids]:
        session = self._session
        with session.lock:
            if self._fixed.answers is not session.answers:
                is_ready = self._prepared.answers is session.answers
                self._fixed = self._prepared if is_ready else self._fixed_lists(session.answers)
            living = {"suggested": self.suggested(), "unfinished": self.unfinished()}
            return {**{name: ids for name, ids in living.items() if len(ids)}, **self._fixed.ids}

    def suggested(self) -> Ids:
        """The images without labels, most informative first, or by file name before there is a model."""
        answers, unlabelled = self._session.answers, np.logical_not(self._session.known())
        if answers is None or answers.suggested is None:
            unlabelled &= self._session.unlabelled
            return self._all[unlabelled[self._all]]
        return answers.suggested[unlabelled[answers.suggested]]

    def unfinished(self) -> Ids:
        """The images without labels in the data that have an unknown label and are not confirmed, by name."""
        session = self._session
        open_ones = session.unlabelled & ~session.reviewed
        open_ones[open_ones] = np.isnan(session.current[open_ones]).any(axis=(1, 2))
        return self._all[open_ones[self._all]]

    def _fixed_lists(self, answers: Answers | None) -> _FixedLists:
        session = self._session
        lists: dict[str, Ids] = {}
        if len(session.suspects.ids):
            lists["suspects"] = session.suspects.ids
        if answers is not None:
            if answers.abstained is not None and answers.abstained.any():
                lists["asked"] = _by_doubt(answers)
            mistakes = worst_mistakes(session.given, answers, session.vocabulary)
            if len(mistakes):
                lists["mistakes"] = mistakes
        lists["all"] = self._all
        return _FixedLists(answers, lists)

    # ------------------------------------------------------------------ filters

    def _filtered(self, ids: Ids, query: Query) -> Ids:
        session = self._session
        if query.text:
            text = query.text.lower()
            has_text = np.fromiter((text in name for name in self._lower), dtype=np.bool_, count=len(self._lower))
            ids = ids[has_text[ids]]
        if query.value:
            column = session.vocabulary.column(query.cell)
            wanted = np.asarray(session.vocabulary.encode(query.value), dtype=session.current.dtype)
            cells = session.current[ids, column]
            equal = np.isnan(cells) if query.value == UNKNOWN else np.equal(cells, wanted)
            ids = ids[np.flatnonzero(equal.all(axis=1))]
        masks: dict[str, Callable[[], np.ndarray[Any, np.dtype[np.bool_]]]] = {
            "": lambda: np.ones(len(session.items), dtype=np.bool_),
            "changed": lambda: session.changed,
            "reviewed": lambda: session.reviewed,
            "left": session.left,
        }
        if query.state not in masks:
            raise Refusal(400, f"`state` is changed, reviewed or left, got '{query.state[:100]}'")
        ids = ids[masks[query.state]()[ids]]
        if query.likely and query.unlikely:
            raise Refusal(400, "`likely` and `unlikely` are two orders; give one")
        label = query.likely or query.unlikely
        return self._by_probability(ids, label, query) if label else ids

    def _by_probability(self, ids: Ids, label: str, query: Query) -> Ids:
        session, answers = self._session, self._session.answers
        names = session.vocabulary.names
        if label not in names or not session.vocabulary.has_probabilities:
            raise Refusal(400, f"there is no label '{label[:100]}'")
        if not query.state:
            column = session.vocabulary.column(session.vocabulary.cell_of(label))
            ids = ids[np.isnan(session.current[ids, column]).any(axis=1)]
        if answers is None or answers.probabilities is None or label not in answers.names:
            return ids
        probabilities = answers.probabilities[ids, answers.names.index(label)]
        return ids[np.argsort(-probabilities if query.likely else probabilities, kind="stable")]  # NaN last

    # ------------------------------------------------------------------ reasons

    def _reason(self, row: int, name: str) -> str:
        session, answers = self._session, self._session.answers
        if name == "suspects":
            return "; ".join(_suspicion(suspect) for suspect in session.suspects.to_json(row)[:_NAMES_IN_REASON])
        if answers is None:
            return ""
        if name == "suggested":
            return answers.reasons.get(row, "")
        if name == "asked" and answers.abstained is not None:
            names = [
                cell
                for cell, abstains in zip(session.vocabulary.cells, answers.abstained[row], strict=False)
                if abstains
            ]
            return f"uncertain about {_few(names)}" if any(names) else "uncertain about the class"
        if name == "mistakes":
            return _contradictions(session.vocabulary.row(session.given[row]), _predicted(session, answers, row))
        return ""


def worst_mistakes(given: Float[np.ndarray, "n c w"], answers: Answers, vocabulary: Vocabulary) -> Ids:
    """The images on which the model contradicts the given values, by decreasing loss.

    The loss of labels and classes is the mean negative log-likelihood of the given values; for points the mean
    distance; for numbers the mean distance in standard deviations of the given values.

    Args:
        given: the values; NaN where unknown.
        answers: the predictions of the model.
        vocabulary: the vocabulary of the review.
    """
    predicted = answers.predicted
    given = given[:, : predicted.shape[1]]
    known = np.asarray(~np.isnan(given).any(axis=2) & ~np.isnan(predicted).any(axis=2))
    if answers.probabilities is None:
        scale = 1.0 if given.shape[2] == 2 else np.nan_to_num(_deviations(given[:, :, 0]), nan=1.0)
        losses = np.linalg.norm(given - predicted, axis=2) / scale
    else:
        losses = _negative_log_likelihoods(given[:, :, 0], answers.probabilities, vocabulary)
        known &= ~np.isnan(losses)
    wrong = known & np.asarray(given != predicted).any(axis=2)
    rows = np.flatnonzero(wrong.any(axis=1))
    sums, counts = np.where(known, losses, 0)[rows].sum(axis=1), known[rows].sum(axis=1)
    return rows[np.argsort(-sums / counts, kind="stable")]


def _deviations(columns: Float[np.ndarray, "n c"]) -> Float[np.ndarray, " c"]:
    """The standard deviation of each column; NaN if it is 0 or no value is known."""
    known = ~np.isnan(columns)
    counts = np.maximum(known.sum(axis=0), 1)
    centered = np.where(known, columns - np.where(known, columns, 0).sum(axis=0) / counts, 0)
    deviations = np.sqrt(np.square(centered).sum(axis=0) / counts)
    return np.where(deviations > 0, deviations, np.nan)


def _negative_log_likelihoods(
    given: Float[np.ndarray, "n c"], probabilities: Float[np.ndarray, "n k"], vocabulary: Vocabulary
) -> Float[np.ndarray, "n c"]:
    if vocabulary.is_exclusive:
        columns = np.nan_to_num(given, nan=0).astype(np.int64)
        of_given = np.take_along_axis(probabilities, np.minimum(columns, probabilities.shape[1] - 1), axis=1)
    else:
        of_given = np.where(given == 1, probabilities, 1 - probabilities)
    return -np.log(np.maximum(of_given, 1e-12))


def _by_doubt(answers: Answers) -> Ids:
    """The images about which a person is asked, the most uncertain first."""
    assert answers.abstained is not None
    rows = np.flatnonzero(answers.abstained.any(axis=1))
    if answers.probabilities is None:
        return rows
    probabilities = answers.probabilities[rows]
    if answers.abstained.shape[1] == probabilities.shape[1]:
        doubt = np.where(answers.abstained[rows], 0.5 - np.abs(probabilities - 0.5), -1).max(axis=1)
    else:
        doubt = -probabilities.max(axis=1)
    return rows[np.argsort(-doubt, kind="stable")]


# ------------------------------------------------------------------ an image


def _predicted(session: ReviewSession, answers: Answers, row: int) -> dict[str, Any]:
    values = answers.predicted[row]
    vocabulary = session.vocabulary
    cells = vocabulary.cells if vocabulary.is_exclusive else answers.names
    return {
        cell: vocabulary.decode(value)
        for cell, value in zip(cells, values.tolist(), strict=True)
        if not any(number != number for number in value)
    }


def _probabilities(answers: Answers, row: int, vocabulary: Vocabulary) -> dict[str, float]:
    if answers.probabilities is None:
        return {}
    values = answers.probabilities[row]
    columns = np.argsort(-values, kind="stable")[:_MOST_PROBABLE] if vocabulary.is_exclusive else range(len(values))
    return {answers.names[int(k)]: round(float(values[k]), 4) for k in columns if not np.isnan(values[k])}


def _suspicion(suspect: Mapping[str, Any]) -> str:
    what = f"{suspect['cell']}: " if suspect["cell"] else ""
    return f"{what}given {suspect['given']}, predicted {suspect['predicted']}"


def _contradictions(given: Mapping[str, Any], predicted: Mapping[str, Any]) -> str:
    missed = [cell for cell, value in predicted.items() if (given[cell], value) == ("yes", "no")]
    added = [cell for cell, value in predicted.items() if (given[cell], value) == ("no", "yes")]
    sentences = [f"{what}: {_few(names)}" for what, names in (("missed", missed), ("too much", added)) if names]
    if sentences:
        return "; ".join(sentences)
    other = [cell for cell, value in predicted.items() if given[cell] not in (value, UNKNOWN)]
    if other == [""]:
        return f"given {given['']}, predicted {predicted['']}"
    return f"differs: {_few(other)}" if other else ""


def _few(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_IN_REASON
    return ", ".join(names[:_NAMES_IN_REASON]) + (f" and {more} more" if more > 0 else "")
