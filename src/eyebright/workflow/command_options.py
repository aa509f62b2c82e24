"""The options of the commands beside those of reading and training; see `eyebright.workflow.option`.

Importing this module loads no torch, so that ``--help`` is quick.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from eyebright import _defaults
from eyebright._choices import (
    CalibrationChoice,
    ExportPrecision,
    ExportTarget,
    HeldOutPart,
    Precision,
    PredictionFormat,
    Range,
    RuntimeName,
    SetMethod,
    WriteFormat,
)
from eyebright.errors import InputError
from eyebright.inference.folder_format import MANIFEST
from eyebright.workflow.option import Option, check_options, with_options_in_docstring
from eyebright.workflow.options import DEVICE, MACHINE, MAX_SEED, TRAINING, point_pair


@with_options_in_docstring
@dataclass(frozen=True)
class TrainCommand:
    """The options of ``eyebright train`` beside those of reading and training."""

    source: Annotated[
        Path | None,
        Option("A file with labels (CSV, COCO, ...), or a folder of images.", positional=True),
    ] = None
    out: Annotated[Path | None, Option("The model folder to write.")] = None
    options: Annotated[Path | None, Option("Repeat the run of this options.json; other options override it.")] = None
    resume: Annotated[bool, Option("Continue from the checkpoint in the model folder.", TRAINING)] = False
    devices: Annotated[
        int,
        Range(at_least=1),
        Option(
            "Processes of distributed training, a GPU or a share of the CPUs each. Results differ only by rounding and "
            "the random numbers of dropout, so options.json does not store it.",
            MACHINE,
        ),
    ] = 1
    quiet: Annotated[bool, Option("Show no progress, only results.", MACHINE)] = False

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class PredictOptions:
    """The options of ``eyebright predict``."""

    model: Annotated[Path, Option("The model folder, or hf-hub:OWNER/NAME for one on the hub.", positional=True)]
    images: Annotated[tuple[Path, ...], Option("Images, or folders of images.", positional=True)]
    out: Annotated[
        Path | None,
        Option(
            "File to write: a row per image with its labels and their probabilities, its points or its numbers. Until"
            " all images are done the rows are in FILE.part, and stay there after an interruption.",
            unset="printed",
        ),
    ] = None
    format: Annotated[
        PredictionFormat | None,
        Option(
            "Format of the predictions; csv-safe is CSV in which names that a spreadsheet would run as formulas are "
            "escaped.",
            unset="json for a file that ends in .json, otherwise csv; without a file one line per image",
        ),
    ] = None
    heat_maps: Annotated[
        Path | None,
        Option(
            "Folder to write images to that show which regions raise the output for each predicted label (Grad-CAM); "
            "each image takes a few times as long. Not for points.",
            unset="none",
        ),
    ] = None
    bs: Annotated[int, Range(at_least=1), Option("Images in a batch.")] = _defaults.BATCH_SIZE
    device: Annotated[str | None, DEVICE] = None
    runtime: Annotated[
        RuntimeName,
        Option("What computes the predictions; auto chooses the faster one.", MACHINE),
    ] = "auto"
    precision: Annotated[Precision, Option("Precision of the model.", MACHINE)] = _defaults.PREDICTION_PRECISION
    fast_decode: Annotated[
        bool,
        Option(
            "Decode large JPEGs at a smaller scale: faster, but not exactly the pixels the model was evaluated with.",
            MACHINE,
        ),
    ] = False
    verbose: Annotated[bool, Option("Print which runtime computed the predictions and why.", MACHINE)] = False

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class CheckOptions:
    """The options of ``eyebright check`` beside those of reading."""

    source: Annotated[Path, Option("A file with labels, or a folder of images.", positional=True)]
    json: Annotated[Path | None, Option("JSON file to write the results to.", unset="none")] = None
    page: Annotated[
        Path | None, Option("HTML page to write the findings to, one file with thumbnails.", unset="none")
    ] = None
    pixels: Annotated[bool, Option("Read the images; without it, only the labels are checked.")] = True
    cache: Annotated[
        Path | None, Option("Folder that keeps what was read of each image; training can share it.", unset="none")
    ] = None
    strict: Annotated[bool, Option("Exit code 1 if there is an error or a warning.")] = False

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class SplitOptions:
    """The options of ``eyebright split`` beside those of reading."""

    source: Annotated[Path, Option("A file with labels, or a folder of images.", positional=True)]
    out: Annotated[
        Path | None,
        Option("CSV file to write: a row per image with its part, its group and why.", metavar="FILE", unset="none"),
    ] = None
    valid_pct: Annotated[
        float | None,
        Range(at_least=0, at_most=0.9),
        Option("Share of the images for validation.", unset=f"{_defaults.VALID_PCT}; no folds"),
    ] = None
    test_pct: Annotated[
        float | None,
        Range(at_least=0, at_most=0.9),
        Option(
            "Share of the images for testing: nothing is chosen by them, neither epochs nor thresholds.",
            unset=f"{_defaults.TEST_PCT}; 0 with `folds`, or if the data have images for testing",
        ),
    ] = None
    promise_pct: Annotated[
        float | None,
        Range(at_least=0, at_most=0.9),
        Option(
            "Share of the images for promises (statistical guarantees).",
            unset=f"{_defaults.PROMISE_PCT} from {_defaults.PROMISE_FROM:,} images up, else 0; 0 with `folds`",
        ),
    ] = None
    folds: Annotated[
        int | None, Range(at_least=2), Option("Folds of equal size instead of training and validation.", unset="none")
    ] = None
    time: Annotated[
        str | None,
        Option(
            "Column with dates or numbers: the oldest images are for training, the newest for testing; a group is as "
            "old as its newest image.",
            unset="at random",
        ),
    ] = None
    seed: Annotated[int, Range(at_least=0, at_most=MAX_SEED), Option("Seed of the split.")] = 0
    pixels: Annotated[
        bool, Option("Read the images, to keep near-duplicates in one part; without it, only groups are kept whole.")
    ] = True
    cache: Annotated[
        Path | None, Option("Folder that keeps what was read of each image; training can share it.", unset="none")
    ] = None

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class ConvertOptions:
    """The options of ``eyebright convert`` beside those of reading."""

    source: Annotated[Path, Option("A file with labels, or a folder of images.", positional=True)]
    out: Annotated[Path, Option("File or folder to write; it must not exist.")]
    to: Annotated[WriteFormat, Option("Format to write.")] = "csv"

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class ReportOptions:
    """The options of ``eyebright report``."""

    model: Annotated[Path, Option("The model folder.", positional=True)]
    images: Annotated[
        Path | None,
        Option("Folder of the validation images, for their thumbnails.", unset="where they were at training"),
    ] = None
    out: Annotated[Path | None, Option("HTML file to write.", unset="report.html in the model folder")] = None
    normalize_by: Annotated[
        tuple[str, str] | None,
        Option(
            "Two points; the errors of points are divided by their distance in each image.",
            convert=point_pair,
            metavar="POINT,POINT",
            unset="as at training",
        ),
    ] = None

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class InspectOptions:
    """The options of ``eyebright inspect``."""

    model: Annotated[Path, Option("The model folder.", positional=True)]
    json: Annotated[bool, Option("Print everything as JSON.")] = False

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class PushOptions:
    """The options of ``eyebright push``."""

    model: Annotated[Path, Option("The model folder.", positional=True)]
    repository: Annotated[str, Option("OWNER/NAME on the Hugging Face hub, or OWNER/NAME@BRANCH.", positional=True)]
    private: Annotated[bool, Option("Make a new repository private; an existing one keeps its visibility.")] = False
    with_evaluation: Annotated[
        bool,
        Option(
            "Also upload the evaluations and the report: they hold names of files, other columns of the data, and "
            "thumbnails."
        ),
    ] = False
    licence: Annotated[
        str | None, Option("Licence of the model, such as apache-2.0.", unset="what the model card says")
    ] = None

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class MigrateOptions:
    """The options of ``eyebright migrate``."""

    model: Annotated[Path, Option("The model folder.", positional=True)]
    out: Annotated[Path | None, Option("Folder to write, new or empty.", unset="the model is replaced where it is")] = (
        None
    )

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class CompareOptions:
    """The options of ``eyebright compare``."""

    first: Annotated[Path, Option("The folder of the first model.", positional=True)]
    second: Annotated[Path, Option("The folder of the second model.", positional=True)]
    out: Annotated[
        Path | None, Option("HTML page to write, one file with thumbnails of images that changed.", unset="none")
    ] = None
    json: Annotated[
        Path | None, Option("JSON file to write the scores and all images that changed to.", unset="none")
    ] = None
    part: Annotated[Literal["valid", HeldOutPart], Option("Part on whose images the models are compared.")] = "valid"
    images: Annotated[
        Path | None, Option("Folder of the evaluated images, for their thumbnails.", unset="where they were evaluated")
    ] = None
    nominated: Annotated[
        Path | None,
        Option(
            "Images whose labels were looked at, which favour the model that picked them; there is one more score "
            "without them. The folder of the journal of eyebright review, or a CSV table with a column file, such as "
            "that of eyebright suspects.",
            unset="none",
        ),
    ] = None
    show: Annotated[
        int, Range(at_least=0), Option("Images to print of those that got worse, and of those that got better.")
    ] = 10

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class ExportOptions:
    """The options of ``eyebright export``."""

    model: Annotated[Path, Option("The model folder.", positional=True)]
    to: Annotated[
        ExportTarget,
        Option(
            "What to make: onnx is a graph from an image's pixels to answers, openvino the same for OpenVINO, "
            "torch-export a program that torch loads alone, page one HTML file that answers in a browser without a "
            "network.",
        ),
    ] = "onnx"
    out: Annotated[Path | None, Option("The folder to write.", unset="the model folder")] = None
    images: Annotated[
        Path | None, Option("Folder of the validation images, for the comparison.", unset="where they were evaluated")
    ] = None
    compared: Annotated[
        int, Range(at_least=0), Option("The most validation images on which the export is compared with Python.")
    ] = _defaults.EXPORT_IMAGES
    precision: Annotated[
        ExportPrecision,
        Option(
            "float16 and int8 write a further graph, model_float16.onnx or model_int8.onnx, whose answers differ; what "
            "that costs is measured. For onnx.",
        ),
    ] = _defaults.EXPORT_PRECISION
    calibrate_on: Annotated[
        Path | None,
        Option(
            "Images whose activations give the ranges of int8: a folder, or a file with labels.",
            metavar="SOURCE",
            unset=f"{_defaults.CALIBRATION_IMAGES} training images, whose names the folder has",
        ),
    ] = None
    check: Annotated[
        bool, Option("Write nothing; check that an export that is there is whole and from this model.")
    ] = False

    def __post_init__(self) -> None:
        check_options(self)
        if self.calibrate_on is not None and self.precision != "int8":
            raise InputError("`calibrate_on` is for `precision` int8; leave it out, or ask for that")
        if self.to == "page" and self.precision != "float32":
            raise InputError(f"a page has a graph of float32, so `precision` cannot be {self.precision}; leave it out")
        if self.to in ("openvino", "torch-export") and self.precision != "float32":
            raise InputError(f"`precision` {self.precision} is for `to` onnx, not for {self.to}; leave it out")
        if self.to == "page" and self.check:
            raise InputError("`check` is for files of `to` onnx: a page has no hash of its own; export it again")


@with_options_in_docstring
@dataclass(frozen=True)
class SuspectOptions:
    """The options of ``eyebright suspects``."""

    model: Annotated[Path, Option("The model folder.", positional=True)]
    limit: Annotated[int, Range(at_least=0), Option("Suspects that are printed, the most suspicious first.")] = 20
    out: Annotated[Path | None, Option("CSV file to write all suspects to.", unset="none")] = None
    json: Annotated[Path | None, Option("JSON file to write all suspects to.", unset="none")] = None

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class SuggestOptions:
    """The options of ``eyebright suggest``."""

    model: Annotated[Path, Option("The model folder.", positional=True)]
    images: Annotated[tuple[Path, ...], Option("Images without labels, or folders of images.", positional=True)]
    count: Annotated[int, Range(at_least=1), Option("Images that are suggested.")] = 100
    out: Annotated[
        Path | None, Option("CSV file to write the suggestions to, with the proposed labels.", unset="printed")
    ] = None
    json: Annotated[Path | None, Option("JSON file to write the suggestions to.", unset="none")] = None
    cache: Annotated[
        Path | None, Option("Folder that keeps the features of each image; training can share it.", unset="none")
    ] = None
    device: Annotated[str | None, DEVICE] = None
    seed: Annotated[int, Range(at_least=0, at_most=MAX_SEED), Option("Seed of the order.")] = 0

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class EvaluateOptions:
    """The options of ``eyebright evaluate`` beside those of reading."""

    model: Annotated[Path, Option("The model folder.", positional=True)]
    source: Annotated[Path, Option("A file with labels, or a folder of images.", positional=True)]
    part: Annotated[
        HeldOutPart | None,
        Option(
            "Keep the answers in the model folder: promise, for statistical guarantees (`eyebright tune` with "
            "`promise`); test, for the scores of the report. If the data name parts, their images of this part are "
            "taken.",
            unset="nothing is kept, and all images are evaluated",
        ),
    ] = None
    replace: Annotated[bool, Option("Replace the images of this part that the model has already.")] = False
    out: Annotated[
        Path | None, Option("HTML page to write, one file with all scores and the worst mistakes.", unset="none")
    ] = None
    json: Annotated[Path | None, Option("JSON file to write the scores to.", unset="none")] = None
    pixels: Annotated[
        bool,
        Option(
            "Also read the images that trained the model, to find copies of them; without it, only the same files and "
            "groups are found."
        ),
    ] = True
    cache: Annotated[
        Path | None, Option("Folder that keeps what was read of each image; training can share it.", unset="none")
    ] = None
    bs: Annotated[int, Range(at_least=1), Option("Images in a batch.")] = _defaults.BATCH_SIZE
    device: Annotated[str | None, DEVICE] = None

    def __post_init__(self) -> None:
        check_options(self)
        if self.replace and self.part is None:
            raise InputError("`replace` is for `part`, which is not given")


_OBJECTIVES = ("objective", "cost", "budget", "top_k")
_SET_OPTIONS = ("set_method", "sets_by_label")
_OTHER_CHANGES = ("calibrate", "promise", "risk", "sets")


@with_options_in_docstring
@dataclass(frozen=True)
class TuneOptions:
    """The options of ``eyebright tune``."""

    model: Annotated[Path, Option("The model folder.", positional=True)]
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
            "Costs of a missed label (fn) and a false alarm (fp), whose sum the thresholds minimise; cat:fn=50 sets it "
            "for one label.",
            metavar="fn=N,fp=N",
            unset="none",
        ),
    ] = None
    budget: Annotated[
        str | None,
        Option(
            "False alarms that are allowed per number of images, such as 100/1000.", metavar="N/IMAGES", unset="none"
        ),
    ] = None
    top_k: Annotated[
        int | None, Range(at_least=1), Option("Average number of labels predicted per image.", unset="none")
    ] = None
    one_threshold: Annotated[bool, Option("One threshold for all labels instead of one for each.")] = False
    calibrate: Annotated[
        CalibrationChoice | None,
        Option(
            "Calibration of the probabilities; auto keeps one only where it helps. The thresholds are tuned again.",
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
            "'fpr <= 0.01'. It needs images of the part promise; from others it is an estimate. One bound of precision "
            "or fpr and one of recall give three answers: yes, no, ask a person. With one label per image "
            "'accuracy >= 0.95': a person is asked where the model is not sure enough.",
            metavar="PROMISE",
            unset="none",
        ),
    ] = ()
    label: Annotated[str | None, Option("The only label that the promise is for.", unset="each label separately")] = (
        None
    )
    all_labels: Annotated[bool, Option("The confidence is for all labels jointly.")] = False
    confidence: Annotated[
        float,
        Range(above=0, below=1),
        Option(
            "Probability that the promise, or the coverage of label sets made by rcps, holds, over the draw of the "
            "images.",
        ),
    ] = _defaults.CONFIDENCE
    keep_former: Annotated[
        bool,
        Option(
            "A label for which the promise cannot be kept keeps its threshold; without this option it is never "
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
        float | None,
        Range(above=0, below=1),
        Option(
            "Coverage of label sets, which predictions get beside their answer. One label per image: the set contains "
            "it with at least this probability. Any number: the set contains on average at least this share of an "
            "image's labels. The thresholds stay.",
            unset="none",
        ),
    ] = None
    set_method: Annotated[
        SetMethod | None,
        Option(
            "How label sets are made: lac or aps for one class per image, crc or rcps (with `confidence`) for labels.",
            unset="lac for one label per image, crc for any number",
        ),
    ] = None
    sets_by_label: Annotated[
        bool, Option("Each class or label is covered separately by the label sets (not with rcps).")
    ] = False
    undo: Annotated[bool, Option("Undo the last change; the one before it cannot be undone.")] = False

    def __post_init__(self) -> None:
        check_options(self)
        given = [name for name in _OBJECTIVES if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError(f"`{given[0]}` and `{given[1]}` are two objectives; give one of them")
        changes = [*given, *(name for name in _OTHER_CHANGES if getattr(self, name) not in (None, ()))]
        if self.undo and changes:
            raise InputError(f"`undo` takes the last change back, and `{changes[0]}` makes a new one; give one of them")
        if not self.undo and not changes:
            raise InputError(
                "there is nothing to change: give `objective`, `cost`, `budget`, `top_k`, `calibrate`, `promise`, "
                "`risk`, `sets` or `undo`"
            )
        self._check_owners()
        if given and self.promise and not self.keep_former:
            raise InputError(
                f"`{given[0]}` and `promise` both set the thresholds; give one of them, or `keep_former` too: a label "
                "that cannot keep the promise then has the threshold of the objective"
            )
        if self.keep_former and len(self.promise) > 1:
            raise InputError("`keep_former` is for one `promise`; with two, a label without a promise asks a person")
        self._check_risk_and_sets(given)
        if self.on != "valid" and not (given or self.calibrate):
            raise InputError("`on` is for `calibrate` and the objectives; promises are tested on the part promise")
        if self.one_threshold and not (given or self.calibrate):
            raise InputError("`one_threshold` is for `objective`, `cost`, `budget` or `top_k`, and none is given")

    def _check_risk_and_sets(self, given: list[str]) -> None:
        """Raises `InputError` if they cannot be together with the other options."""
        if self.risk is not None and (given or self.promise):
            raise InputError(f"`risk` and `{[*given, 'promise'][0]}` both set the thresholds; give one of them")

    def _check_owners(self) -> None:
        """Raises `InputError` if an option is given without the one that it is for."""
        if (
            self.confidence != _defaults.CONFIDENCE
            and self.sets is not None
            and not self.promise
            and self.set_method != "rcps"
        ):
            raise InputError(
                "label sets have a `confidence` if they are made by rcps; give `set_method` rcps, or leave it"
            )
        for owner, names in (("promise", ("label", "all_labels", "keep_former")), ("sets", _SET_OPTIONS)):
            for name in names:
                if getattr(self, name) and not getattr(self, owner):
                    raise InputError(f"`{name}` is for `{owner}`, which is not given")

    @property
    def chosen_objective(self) -> str | None:
        """The objective as `eyebright.evaluation.tune.tune` takes it; None if thresholds are not tuned for one."""
        for name in _OBJECTIVES[1:]:
            if (value := getattr(self, name)) is not None:
                return f"{name} {value}"
        return self.objective


@with_options_in_docstring
@dataclass(frozen=True)
class ReviewOptions:
    """The options of ``eyebright review``."""

    source: Annotated[
        Path, Option("The model folder, or a folder of images without any labels.", metavar="MODEL", positional=True)
    ]
    new: Annotated[
        Path | None, Option("Folder of new images, which have no labels yet.", metavar="IMAGES", positional=True)
    ] = None
    out: Annotated[
        Path | None,
        Option(
            "File to write the new table to when *save* is pressed; it must not exist, unless this review wrote it.",
            unset="the name of the labels with -v2, or labels.csv, in the working folder",
        ),
    ] = None
    labels: Annotated[
        tuple[str, ...],
        Option("Names of the labels (a,b,c), for a folder of images without a model.", unset="named in the page"),
    ] = ()
    kind: Annotated[
        Literal["labels", "class", "points", "numbers"],
        Option("What the images have, for a folder without a model."),
    ] = "labels"
    images: Annotated[Path | None, Option("Folder of the model's own images.", unset="where they were at training")] = (
        None
    )
    journal: Annotated[
        Path | None,
        Option(
            "Folder that keeps the journal of all changes and the thumbnails; the next review continues there.",
            unset="beside the model folder or the images, with -review at the end of the name",
        ),
    ] = None
    who: Annotated[str | None, Option("Name of the person, for the log.", unset="the login name")] = None
    port: Annotated[
        int | None,
        Range(at_least=1024, at_most=65535),
        Option("Port of the page.", unset="the last one, or a free one"),
    ] = None
    browser: Annotated[bool, Option("Open a browser.")] = True
    device: Annotated[str | None, DEVICE] = None

    def __post_init__(self) -> None:
        check_options(self)
        if self.kind in ("points", "numbers") and self.labels == () and not is_model_folder(self.source):
            raise InputError(f"`labels` names the {self.kind}; give it, such as `labels` a,b,c")


def is_model_folder(path: Path) -> bool:
    """Whether a folder holds a model, as its manifest says."""
    return (path / MANIFEST).exists()
