"""``eyebright predict``: predictions of a saved model for images, as a table, JSON or lines."""

import os
from typing import TYPE_CHECKING, cast

import typer

from eyebright.cli.output import print_data, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from eyebright.cli.command import CommandArguments
    from eyebright.inference.prediction_file import PredictionFormat
    from eyebright.inference.predictions import Prediction, SkippedImage
    from eyebright.inference.runtimes.base import Precision
    from eyebright.inference.runtimes.select import RuntimeName
    from eyebright.io.files import FolderContent
    from eyebright.tasks.base import TargetBlock


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
    from eyebright.io.files import check_replaceable

    if options.out is not None:
        check_replaceable(options.out, ["path,", "["], "predictions")
    contents = _contents(options.images)
    predictor = load_predictor(
        options.model,
        device=options.device,
        runtime=cast("RuntimeName", options.runtime),
        precision=cast("Precision", options.precision),
        fast_decode=options.fast_decode,
    )
    if options.verbose:
        say(str(predictor.runtime), err=True)
    files = [file for content in contents for file in content.images]
    results = _readable(predictor.stream(files, bs=options.bs))
    file_format = cast("PredictionFormat | None", options.format)
    if options.out is not None:
        found = _write(results, options.out, file_format, predictor.target)
    else:
        found = _print(results, file_format, predictor.target)
    for path, content in zip(options.images, contents, strict=True):
        for sentence in filter(None, (content.left_out, content.linked)):
            say(f"{path}: {sentence}", err=True)
    if not found:
        raise typer.Exit(2)


def _contents(paths: "Sequence[Path]") -> "list[FolderContent]":
    """The images of each folder, and each image; folders without images are printed.

    Raises:
        InputError: all are folders without images.
    """
    from eyebright.errors import InputError
    from eyebright.io.files import FolderContent, folder_content

    contents: list[FolderContent] = []
    empty: list[str] = []
    for path in paths:
        try:
            contents.append(folder_content(path) if os.path.isdir(path) else FolderContent([path], []))  # noqa: PTH112
        except InputError as error:  # said, and the others are predicted
            contents.append(FolderContent([], []))
            empty.append(str(error))
    if len(empty) == len(contents):
        raise InputError("; ".join(empty))
    for reason in empty:
        say(f"left out: {reason}", err=True)
    return contents


def _readable(results: "Iterable[Prediction | SkippedImage]") -> "Iterator[Prediction]":
    """The predictions; the images that were skipped, and what was noticed of others, are printed."""
    from eyebright.inference.predictions import SkippedImage

    for result in results:
        if isinstance(result, SkippedImage):
            say(f"left out: {result.path}: {result.reason}", err=True)
        else:
            if result.note:
                say(f"{result.path}: {result.note}", err=True)
            yield result


def _print(results: "Iterable[Prediction]", file_format: "PredictionFormat | None", target: "TargetBlock") -> int:
    """The number of predictions, which are printed: as CSV or JSON, or if no format is given as lines for people."""
    from eyebright.inference.prediction_file import PredictionWriter

    if file_format is None:
        found = 0
        for prediction in results:
            say(prediction.line(target), whole=True)
            found += 1
        return found
    writer = PredictionWriter(print_data, file_format, target)
    for prediction in results:
        writer.add(prediction)
    writer.end()
    return writer.count


def _write(
    results: "Iterable[Prediction]", out: "Path", file_format: "PredictionFormat | None", target: "TargetBlock"
) -> int:
    """The number of predictions, which are written to a file as they come.

    The file is opened before the first image is read, so that a file that cannot be written is found out at once.
    """
    from eyebright.inference.prediction_file import PredictionWriter
    from eyebright.io.text import growing_file

    with growing_file(out) as file:
        file_format = file_format or ("json" if out.suffix.lower() == ".json" else "csv")
        writer = PredictionWriter(file.write, file_format, target)
        try:
            for prediction in results:
                writer.add(prediction)
            if writer.count:
                writer.end()
                file.complete()
        except BaseException:
            if writer.count:
                say(f"the predictions for the first {writer.count} images are in {file.partial}", err=True)
            raise
    if writer.count:
        say(f"predictions for {writer.count} images: {out}")
    else:
        say(f"no image could be read: {out} is not written", err=True)
    return writer.count
