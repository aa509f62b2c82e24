"""The options of the commands that evaluate, compare and tune a saved model.

Importing this module loads no torch, so that ``--help`` is quick.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from eyebright import _defaults
from eyebright._choices import (
    CalibrationChoice,
    HeldOutPart,
    Range,
    SetMethod,
)
from eyebright.errors import InputError
from eyebright.workflow.option import Option, check_options, with_options_in_docstring
from eyebright.workflow.shared_options import BATCH, DEVICE, FACTS_CACHE, MODEL, SOURCE


@with_options_in_docstring
@dataclass(frozen=True)
class EvaluateOptions:
    """The options of ``eyebright evaluate`` other than those of reading."""

    model: Annotated[Path, MODEL]
    source: Annotated[Path, SOURCE]
    part: Annotated[
        HeldOutPart | None,
        Option(
            "Save the evaluation in the model folder: promise, for promises (`eyebright tune` with `promise`); test, "
            "for the scores of the report. If the data name parts, only the images of this part are used.",
            unset="nothing is saved, and all images are evaluated",
        ),
    ] = None
    replace: Annotated[bool, Option("Replace the model's existing images of this part.")] = False
    out: Annotated[
        Path | None,
        Option("HTML page to write, one file with all scores and the worst mistakes.", unset="none", writes=True),
    ] = None
    json: Annotated[Path | None, Option("JSON file to write the scores to.", unset="none", writes=True)] = None
    pixels: Annotated[
        bool,
        Option(
            "Also read the model's training images, to find copies of them; without it, only equal paths and groups "
            "are found."
        ),
    ] = True
    cache: Annotated[Path | None, FACTS_CACHE] = None
    bs: Annotated[int, Range(at_least=1), BATCH] = _defaults.BATCH_SIZE
    device: Annotated[str | None, DEVICE] = None

    def __post_init__(self) -> None:
        check_options(self)
        if self.replace and self.part is None:
            raise InputError("`replace` is for `part`, which is not given")


@with_options_in_docstring
@dataclass(frozen=True)
class CompareOptions:
    """The options of ``eyebright compare``."""

    first: Annotated[Path, Option("The folder of the first model.", positional=True)]
    second: Annotated[Path, Option("The folder of the second model.", positional=True)]
    out: Annotated[
        Path | None,
        Option("HTML page to write, one file with thumbnails of images that changed.", unset="none", writes=True),
    ] = None
    json: Annotated[
        Path | None, Option("JSON file to write the scores and all images that changed to.", unset="none", writes=True)
    ] = None
    part: Annotated[Literal["valid", HeldOutPart], Option("Part on which the models are compared.")] = "valid"
    images: Annotated[
        Path | None, Option("Folder of the evaluated images, for their thumbnails.", unset="the folder at evaluation")
    ] = None
    nominated: Annotated[
        Path | None,
        Option(
            "Images whose labels were reviewed because a model suggested them. They favour that model, so the scores "
            "are also given without them. The folder of the journal of eyebright review, or a CSV table with a column "
            "file, such as that of eyebright suspects.",
            unset="none",
        ),
    ] = None
    show: Annotated[
        int,
        Range(at_least=0),
        Option("Number of printed images that got worse, and of those that got better."),
    ] = 10

    def __post_init__(self) -> None:
        check_options(self)


def coverage_or_none(value: Any) -> float | Literal["none"]:
    """The coverage of prediction sets, or ``"none"``, from a string or a number.

    Raises:
        InputError: the value is neither a number above 0 and below 1 nor ``"none"``.
    """
    if value == "none":
        return "none"
    try:
        coverage = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        coverage = math.nan
    if not 0 < coverage < 1:
        raise InputError(f"must be a coverage above 0 and below 1, such as 0.9, or 'none', got {value!r}")
    return coverage


_OBJECTIVES = ("objective", "cost", "budget", "top_k")
_SET_OPTIONS = ("set_method", "sets_by_label")
_OTHER_CHANGES = ("calibrate", "promise", "risk", "sets")


@with_options_in_docstring
@dataclass(frozen=True)
class TuneOptions:
    """The options of ``eyebright tune``."""

    model: Annotated[Path, MODEL]
    objective: Annotated[
        str | None,
        Option(
            "Metric that the thresholds are tuned for: f1_macro, f2_macro, f0.5_micro (any beta), f1_samples, "
            "accuracy_multi, subset_accuracy, ...",
            unset="none",
        ),
    ] = None
    cost: Annotated[
        str | None,
        Option(
            "Costs of a missed label (fn) and a false alarm (fp), whose sum the thresholds minimise; cat:fn=50 sets a "
            "cost of one label.",
            metavar="fn=N,fp=N",
            unset="none",
        ),
    ] = None
    budget: Annotated[
        str | None,
        Option(
            "Maximum number of false alarms per number of images, such as 100/1000.", metavar="N/IMAGES", unset="none"
        ),
    ] = None
    top_k: Annotated[
        int | None, Range(at_least=1), Option("Average number of labels predicted per image.", unset="none")
    ] = None
    one_threshold: Annotated[bool, Option("One threshold for all labels instead of one for each.")] = False
    calibrate: Annotated[
        CalibrationChoice | None,
        Option(
            "Calibration of the probabilities; auto keeps one only if it helps. The thresholds are tuned again.",
            unset="unchanged",
        ),
    ] = None
    on: Annotated[
        Literal["valid", "out_of_fold"],
        Option(
            "Predictions that calibration and thresholds are fitted to: those for the validation images, or the "
            "out-of-fold predictions of a training run with `folds`.",
        ),
    ] = "valid"
    promise: Annotated[
        tuple[str, ...],
        Option(
            "A bound that holds on new images with probability `confidence`: 'precision >= 0.95', 'recall >= 0.9' or "
            "'fpr <= 0.01'. It needs images of the part promise; on others it is an estimate. A bound of precision or "
            "fpr together with one of recall gives three answers: yes, no, ask a person. With one label per image "
            "'accuracy >= 0.95': a person is asked about uncertain images.",
            metavar="PROMISE",
            unset="none",
        ),
    ] = ()
    label: Annotated[str | None, Option("The label that the promise is for.", unset="each label separately")] = None
    all_labels: Annotated[bool, Option("The confidence is for all labels jointly.")] = False
    confidence: Annotated[
        float,
        Range(above=0, below=1),
        Option(
            "Probability that the promise, or the coverage of prediction sets by rcps, holds, over the draw of the "
            "images.",
        ),
    ] = _defaults.CONFIDENCE
    keep_former: Annotated[
        bool,
        Option(
            "Keep the threshold of a label for which the promise cannot be kept; without this option it is never "
            "predicted (for recall: at every probability above 0)."
        ),
    ] = False
    risk: Annotated[
        str | None,
        Option(
            "One threshold for all labels that bounds a mean over images in expectation, by conformal risk control: "
            "'missed_labels <= 0.1' (the share of an image's labels that are missed) or 'wrong_answers <= 5 %' (the "
            "share of its yes answers that are wrong).",
            metavar="BOUND",
            unset="none",
        ),
    ] = None
    sets: Annotated[
        float | Literal["none"] | None,
        Range(above=0, below=1),
        Option(
            "Coverage of prediction sets, which predictions get in addition to their answer. One label per image: the "
            "set contains it with at least this probability. Any number: the set contains on average at least this "
            "share of an image's labels. The thresholds do not change. With none, prediction sets are removed.",
            convert=coverage_or_none,
            metavar="COVERAGE|none",
            unset="unchanged",
        ),
    ] = None
    set_method: Annotated[
        SetMethod | None,
        Option(
            "Method of prediction sets: lac or aps for one class per image, crc or rcps (with `confidence`) for "
            "labels.",
            unset="lac for one label per image, crc for any number",
        ),
    ] = None
    sets_by_label: Annotated[
        bool, Option("Each class or label is covered separately by the prediction sets (not with rcps).")
    ] = False
    undo: Annotated[bool, Option("Undo the last change; earlier ones cannot be undone.")] = False

    def __post_init__(self) -> None:
        check_options(self)
        objectives = [name for name in _OBJECTIVES if getattr(self, name) is not None]
        if len(objectives) > 1:
            raise InputError(f"`{objectives[0]}` and `{objectives[1]}` are two objectives; give one of them")
        changes = [*objectives, *(name for name in _OTHER_CHANGES if getattr(self, name) not in (None, ()))]
        if self.undo and changes:
            raise InputError(f"`undo` reverts the last change, but `{changes[0]}` is a new one; give one of them")
        if not self.undo and not changes:
            raise InputError(
                "there is nothing to change: give `objective`, `cost`, `budget`, `top_k`, `calibrate`, `promise`, "
                "`risk`, `sets` or `undo`"
            )
        self._check_owners()
        if objectives and self.promise and not self.keep_former:
            raise InputError(
                f"`{objectives[0]}` and `promise` both set the thresholds; give one of them, or add `keep_former`: a "
                f"label that cannot keep the promise then has the threshold of the objective"
            )
        if self.keep_former and len(self.promise) > 1:
            raise InputError("`keep_former` is for one `promise`; with two, a label without a promise asks a person")
        self._check_risk_and_sets(objectives)
        if self.on != "valid" and not (objectives or self.calibrate):
            raise InputError("`on` is for `calibrate` and the objectives; promises are tested on the part promise")
        if self.one_threshold and not (objectives or self.calibrate):
            raise InputError(
                "`one_threshold` is for `objective`, `cost`, `budget`, `top_k` or `calibrate`, but none is given"
            )

    def _check_risk_and_sets(self, given: list[str]) -> None:
        """Raises `InputError` if `risk` or `sets` cannot be combined with the other options."""
        if self.risk is not None and (given or self.promise):
            raise InputError(f"`risk` and `{[*given, 'promise'][0]}` both set the thresholds; give one of them")

    def _check_owners(self) -> None:
        """Raises `InputError` if an option is given without the option that it belongs to."""
        if (
            self.confidence != _defaults.CONFIDENCE
            and self.coverage is not None
            and not self.promise
            and self.set_method != "rcps"
        ):
            raise InputError("only prediction sets by rcps have a `confidence`; give `set_method` rcps, or leave it")
        for owner, names in (("promise", ("label", "all_labels", "keep_former")), ("sets", _SET_OPTIONS)):
            for name in names:
                if getattr(self, name) and not getattr(self, owner):
                    raise InputError(f"`{name}` is for `{owner}`, which is not given")
                if getattr(self, name) and owner == "sets" and self.coverage is None:
                    raise InputError(f"`{name}` is for prediction sets, which `sets` none removes; give one of them")

    @property
    def coverage(self) -> float | None:
        """The coverage of the prediction sets to fit; None if none are fitted."""
        return self.sets if isinstance(self.sets, float) else None

    @property
    def chosen_objective(self) -> str | None:
        """The objective as `eyebright.evaluation.tune.tune` takes it; None if thresholds are not tuned for one."""
        for name in _OBJECTIVES[1:]:
            if (value := getattr(self, name)) is not None:
                return f"{name} {value}"
        return self.objective
