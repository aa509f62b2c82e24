"""Computes the scores of ``report.json`` again from ``evaluation.parquet``, with pandas and scikit-learn alone.

    python examples/recompute_report.py model     # the folder of a saved model

Prints each score beside that of the report; exit code 1 if one differs.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics

Scores = dict[str, float]


def main() -> None:
    """Prints each score of the report, and the one computed here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the folder of a saved model")
    folder = parser.parse_args().model
    expected, computed = reported(json.loads((folder / "report.json").read_text(encoding="utf-8"))), recompute(folder)
    for name, value in computed.items():
        print(f"{name:<40} {value:12.6f} {expected[name]:12.6f}")
    sys.exit(not all(np.isclose(value, expected[name], rtol=1e-4, atol=1e-6) for name, value in computed.items()))


def reported(report: dict[str, Any]) -> Scores:
    """The scores of a report by name, those of a label as ``LABEL: precision``, that are defined."""
    scores = {one["name"]: one["value"] for one in report["metrics"]}
    for name, *row in (list(each.items()) for each in report[report["kind"]]):
        scores |= {f"{name[1]}: {key}": value for key, value in row if isinstance(value, (int, float))}
    return {name: value for name, value in scores.items() if value is not None}


def recompute(folder: Path) -> Scores:
    """The scores of a saved model by name, as in `reported`, from its evaluation and its manifest."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    table = pd.read_parquet(folder / "evaluation.parquet")
    table = table[table["set"] == report["part"]]
    outputs, targets = (table.filter(regex=f"^{kind}:").to_numpy(float) for kind in ("output", "target"))
    names = [next(iter(row.values())) for row in report[report["kind"]]]
    functions = {"labels": of_labels, "classes": of_classes, "points": of_points, "numbers": of_numbers}
    scores = functions[report["kind"]](calibrated(outputs, manifest), targets, names, manifest, table)
    return {name: float(value) for name, value in scores.items()}


def of_labels(logits: np.ndarray, true: np.ndarray, names: list[str], manifest: dict[str, Any], _: Any) -> Scores:
    """Any number of labels: NaN is unknown, and ignored."""
    p, known = 1 / (1 + np.exp(-logits)), ~np.isnan(true)
    yes = (p > np.broadcast_to(manifest["decision"]["thresholds"]["values"], len(names))) & known
    has, some, judged = true == 1, (true == 1).any(axis=0), known.any(axis=1)
    each: Scores = {}
    for k, name in enumerate(names):
        if not known[:, k].any():
            continue
        mine = metrics.precision_recall_fscore_support(
            has[known[:, k], k], yes[known[:, k], k], average="binary", zero_division=np.nan
        )
        ap = metrics.average_precision_score(has[known[:, k], k], p[known[:, k], k]) if some[k] else np.nan
        each |= dict(zip([f"{name}: {key}" for key in ("average_precision", "precision", "recall", "f1")], (ap, *mine)))
    f1s = [value for name, value in each.items() if name.endswith(": f1")]
    f1_of_images = 2 * (yes & has).sum(axis=1) / np.maximum(yes.sum(axis=1) + has.sum(axis=1), 1)
    whole = {
        "mAP": np.nanmean([value for name, value in each.items() if name.endswith(": average_precision")]),
        "macro F1": np.nan_to_num(f1s).mean(),
        "micro F1": metrics.f1_score(has[known], yes[known]),
        "samples F1": f1_of_images[judged].mean(),
        "exact match": ((yes == has) | ~known).all(axis=1)[judged].mean(),
        "Hamming loss": metrics.zero_one_loss(has[known], yes[known]),
    }
    return {name: value for name, value in {**whole, **each}.items() if not np.isnan(value)}


def of_classes(logits: np.ndarray, true: np.ndarray, names: list[str], manifest: dict[str, Any], _: Any) -> Scores:
    """One class: the most probable one; of ordered classes the median, and the outputs are P(above | not below)."""
    known = ~np.isnan(true).any(axis=1)
    logits, answer = logits[known], true[known].argmax(axis=1)
    if manifest["target"]["kind"] == "ordinal":
        predicted = (np.cumprod(1 / (1 + np.exp(-logits)), axis=1) > 0.5).sum(axis=1)
    else:
        predicted = logits.argmax(axis=1)
    macro = metrics.f1_score(answer, predicted, average="macro", labels=range(len(names)), zero_division=0)
    scores = {"accuracy": (answer == predicted).mean(), "macro F1": macro}
    if manifest["target"]["kind"] == "ordinal":
        scores["MAE in classes"] = metrics.mean_absolute_error(answer, predicted)
        kappa = metrics.cohen_kappa_score(answer, predicted, weights="quadratic", labels=range(len(names)))
        scores["quadratic weighted kappa"] = kappa
    rows = metrics.precision_recall_fscore_support(answer, predicted, labels=range(len(names)), zero_division=np.nan)
    for key, values in zip(("precision", "recall", "f1"), rows):
        scores |= {f"{name}: {key}": value for name, value in zip(names, values) if not np.isnan(value)}
    return scores


def of_points(xy: np.ndarray, true: np.ndarray, names: list[str], manifest: dict[str, Any], table: Any) -> Scores:
    """Points in pixels: distances, and relative to the image's diagonal or the distance between two points."""
    predicted, target = (each.reshape(len(xy), -1, 2) for each in (xy, true))
    errors, two = np.linalg.norm(predicted - target, axis=2), manifest["report"].get("normalise_by")
    lengths = np.hypot(table["height"], table["width"]).to_numpy()
    if two is not None:
        lengths = np.linalg.norm(target[:, names.index(two[0])] - target[:, names.index(two[1])], axis=1)
    relative = errors / np.where(lengths > 0, lengths, np.nan)[:, None]
    within = np.where(np.isnan(relative), np.nan, relative <= 0.05)
    scores = {"mean pixel error": np.nanmean(errors), "median pixel error": np.nanmedian(errors)}
    scores |= {"NME": 100 * np.nanmean(relative), "PCK@0.05": np.nanmean(within)}
    for k, name in enumerate(names):
        scores |= {f"{name}: mean": np.nanmean(errors[:, k]), f"{name}: median": np.nanmedian(errors[:, k])}
        scores |= {f"{name}: nme_percent": 100 * np.nanmean(relative[:, k]), f"{name}: pck": np.nanmean(within[:, k])}
    return scores


def of_numbers(predicted: np.ndarray, true: np.ndarray, names: list[str], manifest: dict[str, Any], _: Any) -> Scores:
    """Numbers: NaN is unknown, and ignored; R2 is the mean over the columns."""
    known, scores = ~np.isnan(true), Scores()
    scores["MAE"] = metrics.mean_absolute_error(true[known], predicted[known])
    scores["RMSE"] = metrics.root_mean_squared_error(true[known], predicted[known])
    for k, name in enumerate(names):
        column = true[known[:, k], k], predicted[known[:, k], k]
        scores[f"{name}: mae"] = metrics.mean_absolute_error(*column)
        scores[f"{name}: rmse"] = metrics.root_mean_squared_error(*column)
        scores[f"{name}: r2"] = metrics.r2_score(*column)
    return {**scores, "R2": np.mean([scores[f"{name}: r2"] for name in names])}


def calibrated(outputs: np.ndarray, manifest: dict[str, Any]) -> np.ndarray:
    """The outputs after the calibration of the manifest; what follows are sigmoid, softmax or nothing."""
    calibration = manifest["decision"]["calibration"]
    kind, numbers = (
        calibration["kind"],
        {k: np.array(v) for k, v in calibration.items() if k in ("value", "slopes", "offsets", "a", "b", "c")},
    )
    if kind == "temperature":
        return outputs / numbers["value"]
    if kind == "platt":
        return outputs * numbers["slopes"] + numbers["offsets"]
    if kind == "beta":
        return numbers["b"] * np.logaddexp(0, outputs) - numbers["a"] * np.logaddexp(0, -outputs) + numbers["c"]
    if kind == "isotonic":
        columns = zip(outputs.T, calibration["knots"], calibration["values"])
        return np.stack([extended(column, np.array(x), np.array(y)) for column, x, y in columns], axis=1)
    return outputs


def extended(outputs: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Linear between the knots, and beyond them with the slope beside them."""
    k = np.clip(np.searchsorted(knots, outputs, side="right") - 1, 0, len(knots) - 2)
    return values[k] + (values[k + 1] - values[k]) / (knots[k + 1] - knots[k]) * (outputs - knots[k])


if __name__ == "__main__":
    main()
