"""``eyebright predict``: a model folder and images in, a table of predictions out."""

from typing import TYPE_CHECKING, cast

import typer

from eyebright.cli.command import Given
from eyebright.workflow.options import PredictOptions

if TYPE_CHECKING:
    from eyebright.inference.runtimes.base import Precision
    from eyebright.inference.runtimes.select import Name

CLASSES = (PredictOptions,)


def predict(given: Given) -> None:
    """Predict for images; unreadable ones are left out and listed.

    \b
    Example:
      eyebright predict model/ new/*.jpg --out predictions.csv
    """  # noqa: D301 - a backspace keeps the lines as they are
    options = given.options(PredictOptions)
    from eyebright.inference.predictor import load_predictor
    from eyebright.io.atomic import write_atomically
    from eyebright.io.files import get_image_files

    files = [file for path in options.images for file in (get_image_files(path) if path.is_dir() else [path])]
    predictor = load_predictor(
        options.model,
        device=options.device,
        runtime=cast("Name", options.runtime),
        precision=cast("Precision", options.precision),
    )
    if options.verbose:
        typer.echo(str(predictor.runtime), err=True)
    predictions = predictor.predict(files, bs=options.bs)
    if options.out is None:
        for prediction in predictions:
            typer.echo(predictions.line(prediction))
    else:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        # Nine digits bring a float32 back; more would only be noise.
        write_atomically(
            options.out, lambda path: predictions.to_frame().to_csv(path, index=False, float_format="%.9g")
        )
        typer.echo(f"{len(predictions)} images answered in {options.out}")
    for path, reason in predictions.skipped.items():
        typer.echo(f"left out: {path}: {reason}", err=True)
    if not len(predictions):
        raise typer.Exit(2)
