"""Exports a saved model as one HTML file that answers in a browser, from a disk and without a network or a server.

The page contains the graph of `eyebright export --to onnx` in float32, and ONNX Runtime Web, which computes it. The
graph is compared with Python in ONNX Runtime before the page is written; a test compares the page itself.
"""

import base64
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from eyebright._optional import import_optional
from eyebright.errors import count_text
from eyebright.evaluation.threshold_origins import origins_text
from eyebright.export.answers_graph import ANSWERS, thresholds_of
from eyebright.export.exportable import Validation, exportable_steps, load_exportable
from eyebright.export.model_graph import network_graph, whole_graph
from eyebright.export.parity import Parity, check_batches, checked_parity, compare_heat_maps, one_image, onnx_batch
from eyebright.export.record import CONTRACT
from eyebright.inference.class_activation import channel_weights
from eyebright.inference.folder_format import OFFLINE_PAGE
from eyebright.inference.heat_maps import OPACITY, heat_colours
from eyebright.inference.inspect_export import page_stamp
from eyebright.inference.manifest import Manifest
from eyebright.inference.predictions import table_columns
from eyebright.inference.predictor import Predictor
from eyebright.io.text import valid_unicode
from eyebright.models.weights import declared_licence
from eyebright.tasks.calibration_hash import measured_otherwise
from eyebright.types import Say, Size
from eyebright.web.offline import OfflinePage, render_offline_page
from eyebright.web.page import check_page_file, write_page_text

PAGE = OFFLINE_PAGE
_MAX_NAMES = 15  # names in the summary
_GRAPH = "the graph"  # in the page, as messages call it


class _Kind(NamedTuple):
    """The display of a kind of target.

    Args:
        shows: what the scripts of the page draw.
        title: the heading.
        answers: what the model answers, before the names.
        is_ordered: the answers are shown in their own order, not by probability.
    """

    shows: str
    title: str
    answers: str
    is_ordered: bool = False


_KINDS = {
    "multicategory": _Kind("labels", "Labels of your images", "Which of {} labels an image has"),
    "category": _Kind("classes", "Labels of your images", "Which of {} labels an image has"),
    "ordinal": _Kind("classes", "Ratings of your images", "Which of {} ratings an image has", is_ordered=True),
    "points": _Kind("points", "Points on your images", "Where {} points are on an image"),
    "regression": _Kind("numbers", "Numbers of your images", "{} numbers for an image"),
}
"""For each kind of answer, by the name of the target block."""


@dataclass(frozen=True)
class ExportedPage:
    """The page that was written, and its size.

    Args:
        path: the page.
        bytes: its size.
        parity: how far the graph in it is from Python, in ONNX Runtime.
        sentences: what a user should know.
    """

    path: Path
    bytes: int
    parity: Parity
    sentences: tuple[str, ...]


def export_page(
    folder: str | Path,
    *,
    out: str | Path | None = None,
    validation: Validation | None = None,
    say: Say = lambda _: None,
) -> ExportedPage:
    """Exports a saved model as ``page.html``, which predicts without a network.

    ``folder``, ``out``, ``validation`` and ``say`` are those of `eyebright.export.export_onnx.export_onnx_files`.

    Raises:
        ArtifactError: the folder contains no model or a damaged one, torch cannot export it, the graph answers
            otherwise than Python, or the page cannot be written; an earlier page is unchanged.
        InputError: the model cannot be exported, or ``page.html`` exists and is not an HTML page.
        MissingExtraError: the packages of ``eyebright[onnx]`` are not installed.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        import_optional(package, extra="onnx", purpose="exporting to a page")
    path = Path(folder if out is None else out) / PAGE
    made = load_exportable(Path(folder), validation, packages=())
    check_page_file(path, "page")
    predictor, validation = made.predictor, made.validation
    say("exporting the network")
    network = network_graph(predictor.model, Size(*made.steps.output))
    weights = heat_map_weights(predictor)
    texts = {"contract": str(CONTRACT)}
    graph = whole_graph(
        network, made.steps, predictor.manifest.decision, texts, ood=predictor.ood, heat_map_weights=weights
    )
    say(f"comparing {len(validation.paths):,} validation images with Python")
    batch = onnx_batch(graph)
    parity = checked_parity(predictor, {_GRAPH: one_image(batch)}, validation.paths)[_GRAPH]
    check_batches(batch)
    if weights is not None:
        compare_heat_maps(graph, predictor)
    model = made.facts["model"]
    content = offline_page(predictor, model["id"], parity, has_heat_maps=weights is not None)
    content = replace(content, stamp=page_stamp(model["id"], model["decision"]))
    text = render_offline_page(content, graph)
    write_page_text(text, path, "page", follow_link=False)
    return ExportedPage(path, len(text.encode()), parity, (*validation.sentences, f"its graph: {parity.sentence}"))


def heat_map_weights(predictor: Predictor) -> Float[np.ndarray, "k c"] | None:
    """The weights of the heat maps of a model's outputs; None if it has points, ratings or a head that is not linear.

    Args:
        predictor: the predictor of the saved model.
    """
    target = predictor.target
    has_own_outputs = not target.is_geometric and tuple(target.output_names) == tuple(target.value_names)
    return channel_weights(predictor.model) if has_own_outputs else None


def offline_page(
    predictor: Predictor, model_id: str | None, parity: Parity, *, has_heat_maps: bool = False
) -> OfflinePage:
    """The content of the page of a model.

    Args:
        predictor: the predictor of the saved model.
        model_id: the identifier of the model.
        parity: the parity of its graph.
        has_heat_maps: the graph gives heat maps.
    """
    manifest, has_ood = predictor.manifest, predictor.ood is not None
    target, decision = manifest.target, manifest.decision
    kind = _KINDS[target.name]
    is_labels = kind.shows in ("labels", "classes")
    names = [valid_unicode(name) for name in (target.classes if is_labels else target.value_names)]
    upper, lower = thresholds_of(decision) if target.has_thresholds else (None, None)
    columns = table_columns(target, is_three_way=decision.thresholds.is_three_way, has_ood=has_ood)
    model = {
        "shows": kind.shows,
        "names": names,
        "columns": [valid_unicode(column) for column in columns],
        "upper": upper,
        "lower": lower,
        "isOrdered": kind.is_ordered,
        "heat": _drawing(manifest) if has_heat_maps else None,
    }
    shown = ", ".join(names[:_MAX_NAMES]) + (", ..." if len(names) > _MAX_NAMES else "")
    summary = f"{kind.answers.format(len(names))}: {shown}. The model is in this page and runs on your device."
    return OfflinePage(
        kind.title,
        summary,
        model,
        _about(manifest, model_id, parity),
        _limits(kind, has_ood=has_ood, has_heat_maps=has_heat_maps)
        + (_NO_SETS,) * (decision.prediction_sets is not None),
    )


def _about(manifest: Manifest, model_id: str | None, parity: Parity) -> list[tuple[str, str]]:
    metric = manifest.target.metrics()[0].name
    score = manifest.scores.get(metric)
    pairs: list[tuple[str, Any]] = [
        ("Network", manifest.model.arch),
        ("Licence of its pretrained weights", declared_licence(manifest.model.arch) or "not declared"),
        ("Trained", manifest.created[:10]),
        ("Training images", manifest.data.get("train")),
        (f"{metric} on the validation images", None if score is None else f"{score:.3f}"),
        ("Thresholds", thresholds_origin(manifest) if manifest.target.has_thresholds else None),
        ("Calibration", manifest.decision.calibration.kind),
        ("Identifier", model_id),
        (
            "Graph compared with Python",
            f"{count_text(parity.images, 'image')}, largest difference {_difference(manifest, parity)}",
        ),
    ]
    return [(name, f"{value:,}" if isinstance(value, int) else str(value)) for name, value in pairs if value]


def _difference(manifest: Manifest, parity: Parity) -> str:
    return f"{parity.difference:.1g} {ANSWERS[manifest.target.name].measured_in}"


def thresholds_origin(manifest: Manifest) -> str:
    """The origin of the thresholds, as text."""
    tuning, thresholds = manifest.tuning, manifest.decision.thresholds
    between = "; between two of them a person is asked" if thresholds.is_three_way else ""
    if measured_otherwise(tuning, manifest.decision.to_json()) & {"promises", "risk", "thresholds"}:
        return f"set, not tuned{between}"
    if tuning.get("promises"):
        return f"{origins_text(manifest.decision, tuning, {})}{between}"
    if "risk" in tuning and thresholds.metric is not None:
        return f"for {thresholds.metric} in expectation"
    if thresholds.metric is not None:
        return f"tuned for {thresholds.metric} on the validation images{between}"
    return f"set, not tuned{between}"


def _drawing(manifest: Manifest) -> dict[str, Any]:
    """The settings of heat maps: the size of the network's input, 256 colours as bytes in base64, the opacity."""
    colours = base64.b64encode(heat_colours().tobytes()).decode()
    return {"input": list(exportable_steps(manifest).output), "colours": colours, "opacity": OPACITY}


def _limits(kind: _Kind, *, has_ood: bool, has_heat_maps: bool) -> tuple[str, ...]:
    """The limits of the page: differences from Python, the validity of the answers, and missing parts."""
    found = (_DECODING, _UNLIKE_NOTE if has_ood else _NO_SCORE_NOTE)
    if kind.shows == "points":
        return found
    return (*found, _HEAT_MAPS if has_heat_maps else _NO_RATINGS if kind.is_ordered else _NO_HEAT_MAPS)


_NO_SETS = "The page has no prediction sets, and its CSV no column of them; `eyebright predict` has them."
_DECODING = (
    "JPEG, PNG, WebP, GIF (its first frame) and BMP images of 8 bits are read as by Eyebright. CMYK, 16 bits, AVIF and "
    "transparency are decoded by the browser in its own way, and the page notes it at the image; TIFF and HEIC are "
    "refused."
)
_UNLIKE_NOTE = (
    "The answers are made for images of the kind that the model was trained on. One that is more unlike the training "
    "images than 95 % of the validation images are is marked; its answer should not be trusted."
)
_NO_SCORE_NOTE = (
    "The answers are made for images of the kind that the model was trained on. This model has no score that notices "
    "other ones."
)
_HEAT_MAPS = (
    "A heat map shows which parts of an image raise the output for a label; red is most. It is a class activation map, "
    "the same as Grad-CAM in Eyebright, as coarse as the last layer of the network, and no proof of what it needs."
)
_NO_RATINGS = (
    "The page shows no heat maps, since a rating has no output of its own in the network; `eyebright predict` "
    "with `heat_maps` writes them."
)
_NO_HEAT_MAPS = (
    "The page shows no heat maps, since the network does not end in a pooling and a linear layer, for which they are a "
    "product; `eyebright predict` with `heat_maps` writes them."
)
