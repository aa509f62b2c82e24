"""`overview_sections`: the statistics of labelled images, as sections of a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from eyebright.sources.parts import PART_WORDS
from eyebright.web.blocks import Cell, Charts, Pairs, Section, Table
from eyebright.web.charts import Axis, Caption, Chart, Series, draw_chart

_MAX_LABELS = 1000  # rows of the table
_MAX_PAIRS = 20
_NAMES = {
    "width": "width, pixels",
    "height": "height, pixels",
    "aspect_ratio": "width / height",
    "size_bytes": "size of the file, kB",
    "brightness": "brightness, 0 to 1",
    "contrast": "contrast, 0 to 0.5",
    "saturation": "saturation, 0 to 1",
}
_SCALE = {"size_bytes": 1e-3}


def overview_sections(overview: Mapping[str, Any]) -> list[Section]:
    """The sections "Labels" (or "Targets") and "Images" of a page.

    Args:
        overview: see `eyebright.check.overview.overview`.
    """
    sections: list[Section] = []
    if overview.get("labels"):
        sections.append(Section("Labels", "labels", _labels(overview), _labels_intro(overview)))
    if targets := overview.get("targets"):
        charts = [_chart(name, summary, "images") for name, summary in targets.items() if summary.get("edges")]
        columns = ("target", "known", "min", "median", "max")
        table = Table(
            "Values of each target", columns, [_target_row(name, summary) for name, summary in targets.items()]
        )
        sections.append(Section("Targets", "targets", [table, Charts(charts[:12], small=True)]))
    if "pixels" in overview:
        sections.append(Section("Images", "images", _images(overview)))
    return sections


def _labels_intro(overview: Mapping[str, Any]) -> str:
    counts: Sequence[int] = overview.get("labels_per_image", ())
    if len(counts) <= 2 and not (counts and counts[0]):
        return ""
    each = [f"{count:,} with {number}" for number, count in enumerate(counts) if count]
    return "Images by their number of labels: " + ", ".join(each[:12]) + "."


def _labels(overview: Mapping[str, Any]) -> list[Any]:
    labels: Sequence[Mapping[str, Any]] = overview["labels"]
    total = max(overview["images"], 1)
    parts = [part for part, count in overview["parts"].items() if count]
    columns = ["label", "images", "share", *(f"for {PART_WORDS[part]}" for part in parts), "unknown"]
    rows = [
        [
            Cell(label["label"]),
            Cell.of(label["all"]["images"]),
            Cell.of(label["all"]["images"] / total, bar=True),
            *(Cell.of(label[part]["images"]) for part in parts),
            Cell.of(label["all"]["unknown"]),
        ]
        for label in labels[:_MAX_LABELS]
    ]
    caption = (
        "Images of each label"
        if len(labels) <= _MAX_LABELS
        else f"The {_MAX_LABELS:,} of {len(labels):,} labels with most images"
    )
    blocks: list[Any] = [Table(caption, columns, rows)]
    if together := overview.get("together"):
        pairs = [
            [Cell(" + ".join(pair["labels"])), Cell.of(pair["images"]), Cell.of(pair["lift"], decimals=2)]
            for pair in together[:_MAX_PAIRS]
        ]
        caption = "Labels that images have together, and how many times as often as if they were independent (lift)"
        blocks.append(Table(caption, ("labels", "images", "lift"), pairs))
    return blocks


def _target_row(target: str, summary: Mapping[str, Any]) -> list[Cell]:
    known = int(summary["known"])
    quantiles = [Cell.of(float(summary[name]), decimals=2) if known else Cell("-") for name in ("min", "median", "max")]
    return [Cell(target), Cell.of(known), *quantiles]


def _images(overview: Mapping[str, Any]) -> list[Any]:
    pixels: Mapping[str, Mapping[str, Any]] = overview["pixels"]
    charts = [
        _chart(title, pixels[name], "images", _SCALE.get(name, 1.0))
        for name, title in _NAMES.items()
        if pixels.get(name, {}).get("edges")
    ]
    facts = [
        (what, ", ".join(f"{name or 'unknown'} {count:,}" for name, count in list(overview[what].items())[:6]))
        for what in ("formats", "modes", "cameras")
        if overview[what]
    ]
    return [Pairs(facts), Charts(charts, small=True)]


def _chart(title: str, distribution: Mapping[str, Any], unit: str, scale: float = 1.0) -> Chart:
    edges = [scale * edge for edge in distribution["edges"]]
    counts = list(distribution["counts"])
    median = scale * distribution["median"]
    if edges[0] == edges[-1]:  # one value: a bar needs a width
        edges = [edges[0] - 0.5, edges[0] + 0.5]
    return draw_chart(
        Caption(title, f"histogram of {title}, median {median:.3g}", f"median {median:.3g}"),
        [Series(edges, counts, shape="bars")],
        x=Axis.fit("", edges),
        y=Axis.fit(unit, counts, zero=True, whole=True),
    )
