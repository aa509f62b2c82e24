"""`Learning`: fits a model to the known values of the images, in the background.

The next change cancels a fit that a person requested. An automatic fit continues with its values, and starts again
after its end: if each change cancelled it, it would never end while a person is faster than the fit.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from jaxtyping import Float, UInt8

from eyebright.errors import EyebrightError
from eyebright.review.items import Answers
from eyebright.review.refusal import Refusal
from eyebright.review.session import Action, ReviewSession
from eyebright.review.values import Vocabulary

LearningState = Literal["idle", "running", "done", "cancelled", "failed"]

ACTIONS, CELLS = 5, 60
"""Images or grids that were answered, or values that were set, after which it learns again automatically."""


class ReviewModel(Protocol):
    """The model of a review; each of its two methods is called from one thread at a time."""

    @property
    def can_learn(self) -> bool:
        """Whether `learn` can be called."""
        ...

    @property
    def can_show(self) -> bool:
        """Whether `heat_map` can be called."""
        ...

    def learn(
        self,
        vocabulary: Vocabulary,
        values: Float[np.ndarray, "n c w"],
        *,
        cancelled: Callable[[], bool],
        progress: Callable[[float], None],
    ) -> Answers:
        """Fits the model to the known values.

        Args:
            vocabulary: the names of labels, classes, points or numbers.
            values: the known values of each image; NaN where unknown.
            cancelled: called often; True to raise any error as soon as possible.
            progress: called with the share that is done.

        Raises:
            EyebrightError: the model cannot be fitted to these values, or the fit is cancelled.
        """
        ...

    def heat_map(self, path: Path, cell: str, longest: int) -> UInt8[np.ndarray, "h w 4"]:
        """The regions that raise the output for a label, as colours with opacity over the upright image.

        Args:
            path: the path of the image.
            cell: the label, class or number.
            longest: the maximum of the longer side, in pixels.

        Raises:
            EyebrightError: the image cannot be read, or the model has no such label.
        """
        ...


@dataclass(frozen=True)
class _Progress:
    state: LearningState = "idle"
    share: float = 0.0
    message: str = ""
    is_automatic: bool = False


@dataclass(frozen=True)
class _Count:
    """The answers of a person since the last fit."""

    actions: int = 0
    cells: int = 0

    @property
    def is_due(self) -> bool:
        return self.actions >= ACTIONS or self.cells >= CELLS


class Learning:
    """Fits in the background: on request, and then automatically as more images get labels.

    Args:
        session: the session with the known values, which gets the predictions.
        model: the model; None: nothing can be fitted.
        prepare: the function that gets the model's predictions before the session.
    """

    def __init__(
        self,
        session: ReviewSession,
        model: ReviewModel | None,
        prepare: Callable[[Answers], None] = lambda answers: None,
    ) -> None:
        self._session, self._model, self._prepare = session, model, prepare
        self._lock = threading.Lock()
        self._cancel = threading.Event()
        self._thread: threading.Thread | None = None
        self._progress = _Progress()
        self._count, self._has_learnt = _Count(), False

    @property
    def can_start(self) -> bool:
        """Whether there is a model that can learn."""
        return self._model is not None and self._model.can_learn

    def to_json(self) -> dict[str, Any]:
        """The state for the page."""
        now = self._progress
        shown = {"state": now.state, "progress": round(now.share, 3), "message": now.message}
        return shown | {"model": self._session.model, "automatic": now.is_automatic}

    def start(self, *, is_automatic: bool = False) -> None:
        """Starts a fit, unless one is running.

        Args:
            is_automatic: True if no person requested it.

        Raises:
            Refusal: there is no model to fit, or no value is known.
        """
        if self._model is None or not self.can_start:
            raise Refusal(409, "there is no model that can learn")
        with self._session.lock:
            if not self._session.known().any():
                raise Refusal(409, "no image has a known value yet: label a few first")
            values, vocabulary = self._session.current.copy(), self._session.vocabulary
            count = self._count  # of the answers that are in these values
        with self._lock:
            thread = None if self._thread is threading.current_thread() else self._thread
            if thread is not None and thread.is_alive() and not self._cancel.is_set():
                return
            former, self._cancel = self._thread, threading.Event()
            self._progress = _Progress("running", 0.0, "learning", is_automatic)
            arguments = (self._model, vocabulary, values, count, self._cancel, former)
            self._thread = threading.Thread(target=self._run, args=arguments, name="learning", daemon=True)
            self._thread.start()

    def cancel(self) -> None:
        """Cancels the running fit."""
        with self._lock:
            if self._progress.state == "running":
                self._cancel.set()
                self._progress = replace(
                    self._progress, state="cancelled", message="cancelled by a change; learn again"
                )

    def note_change(self, action: Action) -> None:
        """Cancels a requested fit, and starts an automatic one if enough images were answered since the last."""
        if action.changes and not self._progress.is_automatic:
            self.cancel()
        unlabelled = self._session.unlabelled
        cells = sum(bool(unlabelled[change.row]) for change in action.changes)
        is_answer = cells > 1 or any(unlabelled[row] for row in action.reviewed)
        with self._lock:
            self._count = _Count(self._count.actions + is_answer, self._count.cells + cells)
        self._start_if_due()

    def _start_if_due(self) -> None:
        if self._has_learnt and self._count.is_due and self._session.known().any():
            self.start(is_automatic=True)

    def close(self) -> None:
        """Cancels, and waits a moment."""
        self.cancel()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(
        self,
        model: ReviewModel,
        vocabulary: Vocabulary,
        values: Float[np.ndarray, "n c w"],
        count: _Count,
        cancel: threading.Event,
        former: threading.Thread | None,
    ) -> None:
        if former is not None:
            former.join()  # it may be the thread that started this one, at its end
        if cancel.is_set():
            return
        with self._lock:
            is_automatic = self._progress.is_automatic

        def progress(share: float) -> None:
            self._set(cancel, _Progress("running", min(max(share, 0.0), 1.0), "learning", is_automatic))

        try:
            answers = model.learn(vocabulary, values, cancelled=cancel.is_set, progress=progress)
            self._prepare(answers)
        except Exception as error:  # only the page can report it
            what = (
                str(error) if isinstance(error, EyebrightError) else f"internal error: {type(error).__name__}: {error}"
            )
            self._count_from(count)  # the next answer does not start it at once again
            self._set(cancel, _Progress("failed", 0.0, what, is_automatic))
            return
        if not cancel.is_set():
            self._session.set_answers(answers)
            self._has_learnt = True
            self._count_from(count)
            self._set(cancel, _Progress("done", 1.0, "learnt from the known values", is_automatic))
            self._start_if_due()

    def _count_from(self, count: _Count) -> None:
        """Counts the answers since this count was taken."""
        with self._lock:
            self._count = _Count(self._count.actions - count.actions, self._count.cells - count.cells)

    def _set(self, cancel: threading.Event, progress: _Progress) -> None:
        with self._lock:
            if not cancel.is_set():
                self._progress = progress
