"""``eyebright predict``: predictions of a saved model for images, as a table, JSON or lines."""

import json
import math
from typing import TYPE_CHECKING, Any, cast

import typer

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments
    from eyebright.inference.predictor import Predictions
    from eyebright.inference.runtimes.base import Precision
    from eyebright.inference.runtimes.select import RuntimeName
    from eyebright.workflow.options import PredictOptions


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.options import PredictOptions

    return (PredictOptions,)


def predict(arguments: "CommandArguments") -> None:
    """Predict for images; unreadable ones are left out and listed.

    \b
    Example:
      eyebright predict model/ new/*.jpg --out predictions.csv
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.workflow.options import PredictOptions

    options = arguments.parse(PredictOptions)
    from eyebright.inference.predictor import load_predictor
    from eyebright.io.files import FolderContent, folder_content

    contents = [folder_content(path) if path.is_dir() else FolderContent([path], []) for path in options.images]
    predictor = load_predictor(
        options.model,
        device=options.device,
        runtime=cast("RuntimeName", options.runtime),
        precision=cast("Precision", options.precision),
        fast_decode=options.fast_decode,
    )
    if options.verbose:
        typer.echo(str(predictor.runtime), err=True)
    predictions = predictor.predict([file for content in contents for file in content.images], bs=options.bs)
    _write(predictions, options)
    for path, reason in predictions.skipped.items():
        typer.echo(f"left out: {path}: {reason}", err=True)
    for path, content in zip(options.images, contents, strict=True):
        if content.left_out:
            typer.echo(f"{path}: {content.left_out}", err=True)
    if not len(predictions):
        raise typer.Exit(2)


def _write(predictions: "Predictions", options: "PredictOptions") -> None:
    """Writes the predictions to ``options.out``, or prints them if it is None.

    A file is written as CSV or JSON. Without ``out`` one line per image is printed, for people to read, unless
    ``options.format`` asks for CSV or JSON.
    """
    from eyebright.io.atomic import write_atomically

    out = options.out
    file_format = options.format or ("json" if out is not None and out.suffix.lower() == ".json" else "csv")
    if out is None and options.format is None:
        for prediction in predictions:
            typer.echo(predictions.line(prediction))
        return
    # nine significant digits represent a float32 exactly
    text = (
        _json(predictions) if file_format == "json" else predictions.to_frame().to_csv(index=False, float_format="%.9g")
    )
    if out is None:
        typer.echo(text, nl=False)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, lambda file: file.write_text(text, encoding="utf-8", newline=""))
    typer.echo(f"predictions for {len(predictions)} images: {out}")


def _json(predictions: "Predictions") -> str:
    """The predictions as a JSON list with one object per image; NaN and infinities are null."""
    return json.dumps(_finite(predictions.to_json()), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
