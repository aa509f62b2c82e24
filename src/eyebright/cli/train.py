"""``eyebright train``: labelled images in, a model folder with its report out."""

import time
from pathlib import Path
from typing import Annotated

import typer

from eyebright.cli.worker import Work, do

DATA = "Data"
TRAINING = "Training"
MACHINE = "Machine"


def train(
    source: Annotated[
        Path, typer.Argument(help="A table of labels (CSV, TSV), or a folder with a folder for each class.")
    ],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    *,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder that the table's file names start from; else the table's own.", rich_help_panel=DATA),
    ] = None,
    files: Annotated[
        str | None, typer.Option(help="Column with the images' names; else found.", rich_help_panel=DATA)
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Column with the labels; else found.", rich_help_panel=DATA)
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            help="What stands between two labels; '' for one class an image; else found.", rich_help_panel=DATA
        ),
    ] = None,
    valid_pct: Annotated[
        float,
        typer.Option(min=0.01, max=0.9, help="Share that validates, where the data do not say.", rich_help_panel=DATA),
    ] = 0.2,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave unreadable images out and list them.", rich_help_panel=DATA)
    ] = False,
    arch: Annotated[
        str, typer.Option(help="Backbone: any timm name, or resnet18, resnet34, resnet50.", rich_help_panel=TRAINING)
    ] = "tf_efficientnet_lite0",
    size: Annotated[
        str,
        typer.Option(
            help="Pixels of what the model sees: 224, or HEIGHTxWIDTH such as 192x256.", rich_help_panel=TRAINING
        ),
    ] = "224",
    whole: Annotated[
        bool,
        typer.Option("--whole", help="Show whole images, padded, instead of crops.", rich_help_panel=TRAINING),
    ] = False,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs with everything.", rich_help_panel=TRAINING)] = 5,
    freeze_epochs: Annotated[
        int, typer.Option(min=0, help="Epochs before that, with the head alone.", rich_help_panel=TRAINING)
    ] = 1,
    augment_views: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Views of each image while the head learns alone; such epochs after as many cost the head alone.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    lr: Annotated[float, typer.Option(help="The head's peak learning rate.", rich_help_panel=TRAINING)] = 2e-3,
    lr_mult: Annotated[
        float,
        typer.Option(min=1, help="The first layers' rate is the head's divided by this.", rich_help_panel=TRAINING),
    ] = 100.0,
    dropout: Annotated[float, typer.Option(min=0, max=0.9, help="Of the head.", rich_help_panel=TRAINING)] = 0.5,
    bs: Annotated[
        int | None,
        typer.Option(min=1, help="Images in a batch; else 32, or fewer for small sets.", rich_help_panel=TRAINING),
    ] = None,
    threshold_metric: Annotated[
        str,
        typer.Option(
            help="Thresholds make it best: f1_macro, f1_micro, f1_samples, hamming_loss, accuracy_multi or "
            "subset_accuracy.",
            rich_help_panel=TRAINING,
        ),
    ] = "f1_macro",
    seed: Annotated[
        int, typer.Option(min=0, help="Of the split and of all chance in training.", rich_help_panel=TRAINING)
    ] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in the model folder.", rich_help_panel=TRAINING)
    ] = False,
    precision: Annotated[
        str, typer.Option(help="auto measures and remembers; or float32, bfloat16, float16.", rich_help_panel=MACHINE)
    ] = "auto",
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, ...; else the best there is.", rich_help_panel=MACHINE)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="How many read; else one a processor.", rich_help_panel=MACHINE)
    ] = None,
    cache: Annotated[
        str | None,
        typer.Option(
            metavar="memory|FOLDER",
            help="Keep decoded images, for later epochs; a folder also serves later trainings.",
            rich_help_panel=MACHINE,
        ),
    ] = None,
    devices: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes that train together: a GPU each, or a share of the processors.",
            rich_help_panel=MACHINE,
        ),
    ] = 1,
    profile: Annotated[
        bool, typer.Option("--profile", help="Say where the time of training went.", rich_help_panel=MACHINE)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="No progress, only what was found out.", rich_help_panel=MACHINE)
    ] = False,
) -> None:
    """Train a model, tune its thresholds, write its report and save it.

    \b
    Examples:
      eyebright train labels.csv --images photos/ --out model/    (any number of labels per image)
      eyebright train photos/ --out model/                        (a folder for each class)
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.workflow.train_model import Options

    options = Options(
        arch=arch,
        size=_size(size),
        whole=whole,
        epochs=epochs,
        freeze_epochs=freeze_epochs,
        augment_views=augment_views,
        lr=lr,
        lr_mult=lr_mult,
        dropout=dropout,
        bs=bs,
        valid_pct=valid_pct,
        seed=seed,
        threshold_metric=threshold_metric,
        precision=precision,
        device=device,
        workers=workers,
        skip_bad=skip_bad,
        cache=cache,
        profile=profile,
        progress="quiet" if quiet else "auto",
    )
    reading = {"images": images, "files": files, "labels": labels, "delimiter": delimiter}
    work = Work(source, out, reading, options, resume)
    if devices == 1:
        do(work)
    else:
        _do_together(work, devices)


def _do_together(work: Work, processes: int) -> None:
    """Trains in several processes; when one is gone, says what is left."""
    from eyebright._system.launch import ProcessEndedError, check_device_count, launch
    from eyebright.workflow.train_model import CHECKPOINT

    check_device_count(processes, work.options.device)
    checkpoint, started = work.out / CHECKPOINT, time.time()
    try:
        launch(processes, "eyebright.cli.worker", work.to_json())
    except ProcessEndedError as error:
        saved = checkpoint.exists() and (work.resume or checkpoint.stat().st_mtime >= started)
        kept = f"'{checkpoint}' holds the last whole epoch: go on with --resume" if saved else "no epoch was over"
        raise ProcessEndedError(f"{error}; {kept}") from None


def _size(text: str) -> int | tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) >= 32 for part in parts):
        raise typer.BadParameter(
            f"a size is 224 or 192x256, at least 32 pixels each way, got '{text}'", param_hint="--size"
        )
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))
