"""``eyebright predict``: predictions of a saved model for images, as a table, JSON or lines."""

import os
import sys
from typing import TYPE_CHECKING

import typer

from eyebright.cli.output import print_data, say
from eyebright.errors import count_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from eyebright._choices import PredictionFormat
    from eyebright.cli.command import CommandArguments
    from eyebright.inference.predictions import Prediction, SkippedImage
    from eyebright.inference.predictor import Predictor
    from eyebright.io.files import FolderContent


_OTHER_FORMATS = frozenset(
    [".xlsx", ".xls", ".ods", ".parquet", ".feather", ".tsv", ".xml", ".html", ".jsonl", ".yaml", ".zip", ".gz"]
)


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.training import PredictOptions

    return (PredictOptions,)


def predict(arguments: "CommandArguments") -> None:
    """Predict for images; unreadable ones are skipped and listed.

    \b
    Example:
      eyebright predict model/ new/*.jpg --out predictions.csv
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.workflow.command_options.training import PredictOptions

    options = arguments.parse(PredictOptions)
    from eyebright.inference.load_predictor import load_predictor
    from eyebright.inference.prediction_file import check_predictions_file

    _check_destination(options.out, options.format)
    _check_heat_maps(options.heat_maps, options.images)
    contents = _contents(options.images)
    predictor = load_predictor(
        options.model,
        device=options.device,
        runtime=options.runtime,
        precision=options.precision,
        fast_decode=options.fast_decode,
    )
    if options.out is not None:
        check_predictions_file(options.out, predictor.target)
    if options.verbose:
        say(str(predictor.runtime), err=True)
    files = [file for content in contents for file in content.images]
    results = _report_skipped(predictor.stream(files, bs=options.bs))
    if options.heat_maps is not None:
        results = _with_heat_maps(results, options.heat_maps, predictor)
    if options.out is not None:
        n_predicted = _write(results, options.out, options.format, predictor)
    else:
        n_predicted = _print(results, options.format, predictor)
    for path, content in zip(options.images, contents, strict=True):
        for sentence in content.messages:
            say(f"{path}: {sentence}", err=True)
    if not n_predicted:
        raise typer.Exit(2)


def _check_destination(out: "Path | None", file_format: str | None) -> None:
    """Raises `InputError` for a file with the extension of another format, or a standard output that is closed."""
    from eyebright.errors import InputError

    if out is None:
        if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]  # it is where a shell has closed it
            raise InputError("the standard output is closed, so no prediction can be printed; give a file as `out`")
        return
    suffix = out.suffix.lower()
    if suffix in _OTHER_FORMATS:
        raise InputError(f"predictions are written as .csv or .json, and '{out}' is the name of another format")
    if file_format and suffix in (".csv", ".json") and not file_format.startswith(suffix[1:]):
        raise InputError(f"'{out}' has the extension of another format than `format` {file_format}; give one of them")


def _check_heat_maps(folder: "Path | None", images: "Sequence[Path]") -> None:
    """Raises `InputError` for a folder in which heat maps could replace images, or be read as images later."""
    from eyebright.errors import InputError

    if folder is None:
        return
    inner = os.path.realpath(folder)
    for path in images:
        given = os.path.realpath(path)
        is_inside = os.path.join(inner, "").startswith(os.path.join(given, ""))  # noqa: PTH118 - kept as text
        if is_inside if os.path.isdir(given) else os.path.dirname(given) == inner:  # noqa: PTH112, PTH120
            raise InputError(
                f"heat maps in '{folder}' would lie among the images of '{path}', and be read as images the next time;"
                " give another folder for `heat_maps`"
            )


def _contents(paths: "Sequence[Path]") -> "list[FolderContent]":
    """Lists the images of each folder, and each image; prints which folders have none.

    Raises:
        InputError: all are folders without images.
    """
    from eyebright.errors import InputError
    from eyebright.io.files import FolderContent, folder_content

    contents: list[FolderContent] = []
    errors: list[str] = []
    for path in paths:
        try:
            contents.append(folder_content(path) if os.path.isdir(path) else FolderContent([path], []))  # noqa: PTH112
        except InputError as error:  # reported below; the other paths are predicted
            contents.append(FolderContent([], []))
            errors.append(str(error))
    if len(errors) == len(contents):
        raise InputError("; ".join(errors))
    for reason in errors:
        say(f"skipped: {reason}", err=True)
    return contents


def _report_skipped(results: "Iterable[Prediction | SkippedImage]") -> "Iterator[Prediction]":
    """Yields the predictions; prints which images were skipped, and the notes on others."""
    from eyebright.inference.predictions import SkippedImage

    for result in results:
        if isinstance(result, SkippedImage):
            say(f"skipped: {result.path}: {result.reason}", err=True)
        else:
            if result.note:
                say(f"{result.path}: {result.note}", err=True)
            yield result


def _with_heat_maps(results: "Iterable[Prediction]", folder: "Path", predictor: "Predictor") -> "Iterator[Prediction]":
    """The predictions, each after its heat maps were written; the folder is made at once."""
    from eyebright.inference.heat_map_files import HeatMapWriter

    writer = HeatMapWriter(predictor, folder)

    def each() -> "Iterator[Prediction]":
        for result in results:
            writer.write(result)
            yield result
        say(f"{writer.count:,} heat maps: {folder}", err=True)

    return each()


def _print(results: "Iterable[Prediction]", file_format: "PredictionFormat | None", predictor: "Predictor") -> int:
    """Prints the predictions as CSV or JSON, or without a format as human-readable lines; returns how many."""
    from eyebright.inference.prediction_file import PredictionWriter

    if file_format is None:
        count = 0
        for prediction in results:
            say(prediction.line(predictor.target), whole=True)
            count += 1
        return count
    writer = PredictionWriter(print_data, file_format, predictor.target, **_columns(predictor))
    for prediction in results:
        writer.add(prediction)
    writer.end()
    return writer.count


def _columns(predictor: "Predictor") -> dict[str, bool]:
    """The columns of a prediction other than its labels or numbers, as for `PredictionWriter`."""
    return {
        "is_three_way": predictor.thresholds.is_three_way,
        "has_sets": predictor.manifest.decision.prediction_sets is not None,
        "has_ood": predictor.ood is not None,
    }


def _write(
    results: "Iterable[Prediction]", out: "Path", file_format: "PredictionFormat | None", predictor: "Predictor"
) -> int:
    """Writes the predictions to a file as they come; returns how many.

    The file is opened before the first image is read, so that a file that cannot be written is found out at once.
    """
    from eyebright.errors import listing
    from eyebright.inference.prediction_file import PredictionWriter
    from eyebright.io.text import growing_file

    with growing_file(out) as file:
        if file.earlier:
            names = listing([str(path) for path in file.earlier])
            say(
                f"kept, with the finished predictions of a run that was interrupted or still goes on: {names}", err=True
            )
        file_format = file_format or ("json" if out.suffix.lower() == ".json" else "csv")
        writer = PredictionWriter(file.write, file_format, predictor.target, **_columns(predictor))
        try:
            for prediction in results:
                writer.add(prediction)
            if writer.count:
                writer.end()
                file.complete()
        except BaseException:
            if writer.count:
                say(
                    f"the predictions for the first {count_text(writer.count, 'image')} are in {file.partial}", err=True
                )
            raise
    if writer.count:
        say(f"predictions for {count_text(writer.count, 'image')}: {out}")
    else:
        say(f"no image could be read: {out} is not written", err=True)
    return writer.count
