"""``eyebright predict``: a model folder and images in, a table of answers out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from eyebright.inference.runtimes.base import Precision
    from eyebright.inference.runtimes.select import Name


def predict(
    model: Annotated[Path, typer.Argument(help="The model folder.")],
    images: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    *,
    out: Annotated[Path | None, typer.Option(help="CSV to write: path, labels, a probability column a label.")] = None,
    bs: Annotated[int, typer.Option(min=1, help="Images in a batch.")] = 32,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ...; else the best there is.")] = None,
    runtime: Annotated[str, typer.Option(help="torch, onnx, or auto: the faster of what the folder has.")] = "auto",
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    verbose: Annotated[bool, typer.Option("--verbose", help="Say what computed the answers.")] = False,
) -> None:
    """Answer for images; unreadable ones are left out and listed.

    \b
    Example:
      eyebright predict model/ new/*.jpg --out predictions.csv
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.inference.predictor import load_predictor
    from eyebright.io.atomic import write_atomically
    from eyebright.io.files import get_image_files

    files = [file for given in images for file in (get_image_files(given) if given.is_dir() else [given])]
    predictor = load_predictor(
        model, device=device, runtime=cast("Name", runtime), precision=cast("Precision", precision)
    )
    if verbose:
        typer.echo(str(predictor.runtime), err=True)
    answers = predictor.predict(files, bs=bs)
    if out is None:
        for answer in answers:
            typer.echo(answers.line(answer))
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        # Nine digits bring a float32 back; more would only be noise.
        write_atomically(out, lambda path: answers.to_frame().to_csv(path, index=False, float_format="%.9g"))
        typer.echo(f"{len(answers)} images answered in {out}")
    for path, reason in answers.skipped.items():
        typer.echo(f"left out: {path}: {reason}", err=True)
    if not len(answers):
        raise typer.Exit(2)
