"""The whole way, once: labelled images on a disk in, a model folder with its report out.

What the command line does is done here, so that a script can do the same in one call.
"""

import contextlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from eyebright._defaults import BATCH_SIZE
from eyebright._optional import check_installed
from eyebright.data.block import DataBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.errors import ArtifactError, EyebrightError, ImageError, InputError
from eyebright.evaluation.decide import fit_decision
from eyebright.learner.learner import Learner
from eyebright.learner.vision_learner import vision_learner
from eyebright.report.data import ReportFacts
from eyebright.sources.headers import readable
from eyebright.sources.source import Source
from eyebright.sources.source_split import split_source
from eyebright.tasks.image import ImageBlock
from eyebright.train.device import is_main_process
from eyebright.train.observers.history import write_history
from eyebright.train.profile import profile_lines
from eyebright.transforms.draw import Transform
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize
from eyebright.types import Size
from eyebright.workflow.option import options_to_json
from eyebright.workflow.options import Options, ReadOptions
from eyebright.workflow.report import HISTORY, make_report
from eyebright.workflow.saved_options import SavedOptions

CHECKPOINT = "checkpoint.safetensors"
_ONLY_SEEN = ("profile", "progress")  # options that change nothing of what is learnt

Say = Callable[[str], None]


def train_model(
    source: Source, out: str | Path, *, options: Options | None = None, resume: bool = False, say: Say = lambda _: None
) -> Learner:
    """The trained learner; its model, report, history and options lie in ``out``.

    A model that was in ``out`` before stays until the new one is whole. After every epoch a checkpoint holds
    everything, so that ``resume`` ends with the same weights as if nothing had happened.

    Args:
        source: the labelled images.
        out: the model folder; is made where it is missing.
        options: what can be said about a training.
        resume: go on from the checkpoint in ``out``.
        say: is told, a sentence at a time, what was understood and what was done.

    Raises:
        EyebrightError: what is wrong, and what to do.
    """
    out, options = Path(out), options or Options()
    say = say if is_main_process() else _silent
    check_installed("jinja2", extra="report", purpose="writing a report")  # said an hour before it is written
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        _writable(out)
        return _trained(source, out, options=options, resume=resume, say=say)
    except BaseException:
        for folder in new:
            with contextlib.suppress(OSError):  # there is something in it already, or it could not be made
                folder.rmdir()
        raise


def _trained(source: Source, out: Path, *, options: Options, resume: bool, say: Say) -> Learner:
    for sentence in source.messages:
        say(sentence)
    understood = len(source.messages)
    source = readable(source, skip_bad=options.skip_bad)
    counted = len(source.not_kept_aside()) if source.split is None else len(source.split[0])
    source = split_source(source, options.valid_pct, seed=options.seed)
    dls = _dataloaders(source, options, counted)
    _refuse_nothing_to_learn(dls)
    for sentence in source.messages[understood:]:
        say(sentence)
    say(f"{len(dls.train_ds)} images train, {len(dls.valid_ds)} validate, {dls.bs} in a batch")
    learner = vision_learner(
        dls,
        options.arch,
        metrics=dls.target.metrics(),
        train_bn=not options.keep_statistics,
        keep_statistics=options.keep_statistics,
        ps=options.dropout,
        precision=options.precision,
        seed=options.seed,
        progress=options.progress,
    )
    say(f"{options.arch} with the weights from {learner.model.origin}")
    views, frozen = options.augment_views, options.freeze_epochs
    if views is not None and views >= frozen:
        say(f"{views} augmented views save nothing in a frozen phase of {frozen}; give more `freeze_epochs` than views")
    learner.run.about["whole"] = options.whole
    try:
        learner.fine_tune(
            options.epochs,
            options.lr,
            options.freeze_epochs,
            options.lr_mult,
            augment_views=options.augment_views,
            checkpoint=out / CHECKPOINT,
            resume=resume,
        )
    except ImageError as error:
        raise InputError(f"{error}; `skip_bad=True` leaves it out and lists it") from None
    except EyebrightError:
        _say_left_out(dls.skipped, say)  # they may be why there is nothing left
        raise
    say(f"trained in {learner.run.device.why}")
    if dls.cache is not None:
        say(f"cache: {dls.cache.summary}")
    if options.profile:
        for line in profile_lines(learner.run, dls.train.timer, dls.train.workers):
            say(line)
    return finish(learner, source, out, options=options, say=say)


def finish(learner: Learner, source: Source, out: Path, *, options: Options, say: Say) -> Learner:
    """The learner with its thresholds tuned, its report written and its model saved; the checkpoint is gone then."""
    evaluation = replace(learner.evaluate(), training=_training_summary(learner.dls))
    if learner.dls.target.has_thresholds:
        learner.decision = fit_decision(evaluation, metric=options.threshold_metric)
        evaluation = evaluation.with_decision(learner.decision)
        thresholds = learner.thresholds
        each = zip(learner.dls.vocab, thresholds.per_class(learner.dls.c).tolist(), strict=True)
        say(f"thresholds tuned for {thresholds.metric}: " + ", ".join(f"{name} {value:.2f}" for name, value in each))
    skipped = {**source.skipped, **learner.dls.skipped}

    def write() -> None:
        _saved_options(source, out, options, learner).save()
        write_history(learner.run.history, out / HISTORY)
        report = make_report(out)
        (out / CHECKPOINT).unlink(missing_ok=True)
        for sentence in (*(row.line for row in report.scores), *report.notices):
            say(sentence)

    # The model is the largest file, which a full disk stops first: then the report and history of the old one stay too.
    learner.save_model(out, evaluation=evaluation, report=_facts(learner, source, options, skipped).to_json())
    learner.run.device.once(write)
    _say_left_out(skipped, say)
    return learner


def _silent(_: str) -> None:
    """What processes say that nobody listens to."""


def _say_left_out(skipped: Mapping[str, str], say: Say) -> None:
    for path, reason in skipped.items():
        say(f"left out: {path}: {reason}")


def _writable(out: Path) -> None:
    """Find out before an hour of training that nothing can be saved."""
    if out.is_file():
        raise ArtifactError(f"cannot write into '{out}': it is a file; a model is a folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise ArtifactError(f"cannot write into '{out}': {error.strerror or error}") from None


def _refuse_nothing_to_learn(dls: DataLoaders) -> None:
    """Find out before an hour of training that there was nothing to learn or to score."""
    dls.target.check_learnable(dls.train_ds.targets, dls.valid_ds.targets)


def _dataloaders(source: Source, options: Options, counted: int) -> DataLoaders:
    train, valid = source.split or (range(len(source)), ())
    item_tfms, batch_tfms = _transforms(options.size, whole=options.whole)
    block = DataBlock(
        blocks=(ImageBlock, source.block()),
        get_x=lambda row: row.path,
        get_y=lambda row: row.target,
        splitter=lambda _: (train, valid),
        item_tfms=item_tfms,
        batch_tfms=batch_tfms,
    )
    few = max(counted // 4, 2)  # one alone is nothing to a batch norm
    return block.dataloaders(
        source,
        bs=min(BATCH_SIZE, few) if options.bs is None else options.bs,
        num_workers=options.workers,
        device=options.device,
        seed=options.seed,
        skip_bad=options.skip_bad,
        cache=options.cache,
    )


def _transforms(size: int | tuple[int, int], *, whole: bool) -> tuple[Transform, list[Transform]]:
    """How images are brought to one size, and what is drawn in training.

    Args:
        size: of the images that the model sees.
        whole: the whole image stays to be seen; else random crops, which teach more where the middle says it.
    """
    if whole:
        return Resize(size, method="pad", pad_mode="zeros"), aug_transforms()
    presized = tuple(side * 8 // 7 for side in Size.of(size))
    return Resize(presized), aug_transforms(size=size, min_scale=0.75)


def _facts(learner: Learner, source: Source, options: Options, skipped: Mapping[str, str]) -> ReportFacts:
    """What the report says beside the evaluation."""
    dls = learner.dls
    return ReportFacts(
        title=f"{options.arch} on {len(source)} images",
        messages=source.messages,
        split=[
            ("training", str(len(dls.train_ds))),
            ("validation", str(len(dls.valid_ds))),
        ],
        skipped=list(skipped.items()),
        settings=_settings(learner, options),
    )


def _settings(learner: Learner, options: Options) -> list[tuple[str, str]]:
    """What was asked for, and what was chosen where nothing was."""
    settings = {**options_to_json(options), **_resolved(learner), "cache": options.cache or "none"}
    return [(name, str(value)) for name, value in settings.items() if name not in _ONLY_SEEN]


def _saved_options(source: Source, out: Path, options: Options, learner: Learner) -> SavedOptions:
    """What ``options.json`` holds; a source that was not read from a file has no path and no reading options."""
    asked = dict(source.asked)
    path = asked.pop("path", None)
    return SavedOptions(path, out, ReadOptions(**asked), options, _resolved(learner))


def _resolved(learner: Learner) -> dict[str, Any]:
    """What was chosen where the options leave the choice."""
    dls, device = learner.dls, learner.run.device
    return {
        "bs": dls.bs,
        "device": str(device.torch_device),
        "precision": device.precision,
        "workers": dls.train.workers,
        "weights": learner.model.origin,
    }


def _training_summary(dls: DataLoaders) -> dict[str, Any]:
    return dls.target.training_summary(dls.train_ds.targets)
