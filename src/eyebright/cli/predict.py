"""``eyebright predict``: a model folder and pictures in, a table of answers out."""

from pathlib import Path
from typing import Annotated

import typer


def predict(
    model: Annotated[Path, typer.Argument(help="The model folder.")],
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, or folders of pictures.")],
    *,
    out: Annotated[Path | None, typer.Option(help="CSV to write: path, labels, a probability column a label.")] = None,
    bs: Annotated[int, typer.Option(min=1, help="Pictures in a batch.")] = 32,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ...; else the best there is.")] = None,
) -> None:
    """Answer for pictures; those that cannot be read are listed and left out.

    Example:
      eyebright predict model/ new/*.jpg --out predictions.csv
    """
    from eyebright.io.atomic import write_atomically
    from eyebright.io.files import get_image_files
    from eyebright.predict import load_predictor

    files = [file for given in pictures for file in (get_image_files(given) if given.is_dir() else [given])]
    answers = load_predictor(model, device=device).predict(files, bs=bs)
    if out is None:
        typer.echo(repr(answers))
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, lambda path: answers.to_frame().to_csv(path, index=False))
        typer.echo(f"{len(answers)} pictures answered in {out}")
    for path, reason in answers.skipped.items():
        typer.echo(f"left out: {path}: {reason}", err=True)
    if not len(answers):
        raise typer.Exit(2)
