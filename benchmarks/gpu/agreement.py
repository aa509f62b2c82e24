"""Checks that a device computes what the CPU does, trains in mixed precision, and resumes exactly."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch.nn.functional import interpolate

from eyebright import Learner, Points, Size, load_predictor
from eyebright.image.canonical import canonical_pixels, fit_size, place_center
from eyebright.image.image import Image
from eyebright.image.warp import Warp, warp_batch
from eyebright.train.device import Precision
from eyebright.train.events import EpochStarted, Event
from gpu.work import Row, Work, exact_float32

OUTPUTS = 1e-4  # of outputs in float32
LEVELS = 0.01  # of 255: the promise of canonical pixels
WARPED = 1.0  # of 255, root mean square: the CPU rounds to 8 bits, the device does not
POINT = 0.05  # pixels
FITTED = 1e-3  # of probabilities: the optimum of a head is found from features that differ in their last digits
EPOCHS = 4


def devices_agree(work: Work) -> Iterator[Row]:
    """The outputs of one model on the CPU and on the device, in float32."""
    learner = work.learner(work.dataloaders(torch.device("cpu")))
    model = learner.model.eval()
    x = torch.rand(work.sizes.bs, 3, work.sizes.size, work.sizes.size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), exact_float32():
        expected = model(x)
        found = model.to(work.device)(x.to(work.device)).cpu()
    spread = float(expected.std())  # a network with random weights has outputs of any size
    yield _within("devices agree: outputs in float32, by their spread", found / spread, expected / spread, OUTPUTS)


def predictions_agree(work: Work) -> Iterator[Row]:
    """The probabilities of a saved model, for batches of several sizes, on the CPU and on the device."""
    with TemporaryDirectory() as folder, exact_float32():
        learner = work.learner()
        learner.fit(1, 1e-3)
        learner.save_model(folder, evaluation=learner.evaluate())
        expected = _probabilities(folder, work, torch.device("cpu"), work.sizes.bs)
        for bs in dict.fromkeys((1, 3, work.sizes.bs)):
            found = _probabilities(folder, work, work.device, bs)
            yield _within(f"predict: batches of {bs} equal the CPU's probabilities", found, expected, OUTPUTS)


def evaluation_is_predicted(work: Work) -> Iterator[Row]:
    """The evaluation of a training run on the device, and what the saved model predicts on the CPU."""
    with TemporaryDirectory() as folder, exact_float32():
        learner = work.learner()
        learner.fit(1, 1e-3)
        evaluation = learner.evaluate()
        learner.save_model(folder, evaluation=evaluation)
        found = _probabilities(folder, work, torch.device("cpu"), work.sizes.bs)
        yield _within("what is saved is what is answered", found, evaluation.activated, OUTPUTS)


def frozen_models_agree(work: Work) -> Iterator[Row]:
    """The linear head that is fitted to features of the CPU and of the device, and its out-of-fold probabilities."""
    found = {}
    with exact_float32():
        for device in (torch.device("cpu"), work.device):
            learner = work.learner(work.dataloaders(device))
            learner.fit_head(C=1.0)
            found[device] = learner.evaluate().activated, learner.out_of_fold(2, C=1.0).activated
    for name, ours, expected in zip(
        ("a fitted head", "out-of-fold heads"), found[work.device], found[torch.device("cpu")], strict=True
    ):
        yield _within(f"frozen model: probabilities of {name} equal the CPU's", ours, expected, FITTED)


def fine_tuning_from_a_linear_head(work: Work) -> Iterator[Row]:
    """LP-FT on the device; the CPU predicts with the saved model what was evaluated."""
    with TemporaryDirectory() as folder, exact_float32():
        learner = work.learner(keep_statistics=True)
        tuned = learner.lp_ft(2)
        evaluation = learner.evaluate()
        learner.save_model(folder, evaluation=evaluation)
        found = _probabilities(folder, work, torch.device("cpu"), work.sizes.bs)
        row = _within("LP-FT: what is saved is what is answered", found, evaluation.activated, OUTPUTS)
        yield replace(row, message=f"{row.message}; {tuned}")


def executors_agree(work: Work) -> Iterator[Row]:
    """The same warps of an image on the CPU (8 bits) and on the device; and of a point and its pixels."""
    source = Size(120, 160)
    warps = {
        "rotation": Warp.rotate(source, 10),
        "rotation and half": Warp.rotate(source, -37).then(Warp.resize(source, Size(60, 80))),
        "zoom": Warp.zoom(source, 1.3, x=0.4, y=0.6),
        "flip and a fifth": Warp.flip(source).then(Warp.resize(source, Size(24, 32))),
    }
    x = np.arange(160)[None, :, None] + 0.5
    y = np.arange(120)[:, None, None] + 0.5
    blob = np.exp(-(((x - 70.3) / 6) ** 2) - ((y - 61.9) / 6) ** 2)
    image = (blob * np.array([255, 226, 197])).round().astype(np.uint8)
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].float().to(work.device)
    with exact_float32():
        for name, warp in warps.items():
            found = warp_batch(batch, [warp])[0].permute(1, 2, 0).cpu().numpy()
            difference = float(np.sqrt(np.square(found - warp.pixels(image)).mean()))
            yield _at_most(f"executors agree: {name}", difference, WARPED, "levels of 255 (root mean square)")
            point = warp.points(Points.of((70.3, 61.9))).xy[0].numpy()
            distance = float(np.abs(_centroid(found[:, :, 0]) - point).max())
            yield _at_most(f"a point moves with its pixels: {name}", distance, POINT, "pixels")


def canonical_pixels_agree(work: Work) -> Iterator[Row]:
    """Canonical pixels in a batch on the device and on the CPU, and as torch resizes floats on the device."""
    batches = {}
    for device in (torch.device("cpu"), work.device):
        batches[device] = torch.cat([x.cpu() for x, _ in work.dataloaders(device).valid])
    found, expected = batches[work.device], batches[torch.device("cpu")]
    levels = float((found - expected).abs().max()) * 255
    yield _at_most("canonical pixels: validation batches equal the CPU's", levels, 0.0, "levels of 255")

    image = Image.create(work.valid_paths[0]).decoded()
    out = Size(work.sizes.size, work.sizes.size)
    source = Size(*image.shape[:2])
    placement = place_center(source, fit_size(source, out, cover=True), out)
    floats = torch.from_numpy(image).permute(2, 0, 1)[None].to(work.device).float()
    resized = interpolate(floats, list(placement.resized), mode="bilinear", antialias=True)[0].permute(1, 2, 0).cpu()
    seen = resized[-placement.top :, -placement.left :][: out.height, : out.width]
    levels = float((seen - torch.from_numpy(canonical_pixels(image, placement)) * 255).abs().max())
    yield _at_most("canonical pixels: torch's resize of floats on the device", levels, LEVELS, "levels of 255")


def mixed_precision_learns(work: Work) -> Iterator[Row]:
    """Whether the training loss falls in each precision."""
    precisions: tuple[Precision, ...] = ("float32", "bfloat16", "float16")
    for precision in precisions:
        learner = work.learner(precision=precision)
        learner.fit_one_cycle(EPOCHS, 3e-3)
        first, last = (float(learner.run.history[i]["train_loss"]) for i in (0, -1))
        reason = learner.run.device.precision_reason
        message = f"training loss of the first epoch {first:.3f}, of the last {last:.3f} ({reason})"
        yield Row(f"training in {precision} decreases the loss", last < first, last / first, "of the first", message)


def training_resumes_exactly(work: Work) -> Iterator[Row]:
    """Whether a run that was interrupted ends with the weights of one that was not, bit for bit."""
    with TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
        try:
            whole, resumed = _broken_off_and_not(work, Path(folder) / "checkpoint")
        finally:
            torch.use_deterministic_algorithms(before[0])
            torch.backends.cudnn.benchmark = before[1]
    pairs = list(zip(whole.model.state_dict().values(), resumed.model.state_dict().values(), strict=True))
    different = sum(not torch.equal(a, b) for a, b in pairs)
    same_losses = whole.run.losses == resumed.run.losses
    notes = sorted({str(one.message).splitlines()[0][:120] for one in said if "determinis" in str(one.message)})
    message = f"{different} of {len(pairs)} tensors differ; losses {'equal' if same_losses else 'differ'}"
    message += f"; not deterministic: {notes}" if notes else ""
    ok = not different and same_losses
    yield Row("a resumed training is the same bit for bit", ok, different, "tensors", message)


class _StoppedError(Exception):
    """Ends a run after an epoch."""


def _broken_off_and_not(work: Work, checkpoint: Path) -> tuple[Learner, Learner]:
    """(a whole training, one that was stopped after an epoch and resumed from its checkpoint)."""

    def stop(event: Event) -> None:
        if isinstance(event, EpochStarted) and event.epoch == 1:
            raise _StoppedError

    whole = work.learner()
    whole.fit_one_cycle(2, 1e-3)
    with contextlib.suppress(_StoppedError):
        work.learner().fit_one_cycle(2, 1e-3, cbs=[stop], checkpoint=checkpoint)
    resumed = work.learner()
    resumed.fit_one_cycle(2, 1e-3, checkpoint=checkpoint, resume=True)
    return whole, resumed


def _probabilities(folder: str, work: Work, device: torch.device, bs: int) -> torch.Tensor:
    predicted = load_predictor(folder, device=device, runtime="torch").predict(work.valid_paths, bs=bs)
    if predicted.skipped:
        raise ValueError(f"{len(predicted.skipped)} images were skipped: {predicted.skipped}")
    return torch.stack([prediction.activated for prediction in predicted])


def _centroid(image: np.ndarray) -> np.ndarray:
    """The centroid (x, y) of the values; those below a hundredth of the greatest do not count."""
    mass = np.where(image < image.max() / 100, 0, image)
    x, y = np.arange(image.shape[1]) + 0.5, np.arange(image.shape[0]) + 0.5
    return np.array([(mass.sum(0) * x).sum(), (mass.sum(1) * y).sum()]) / mass.sum()


def _within(name: str, found: torch.Tensor, expected: torch.Tensor, limit: float) -> Row:
    return _at_most(name, float((found - expected).abs().max()), limit, "absolute difference")


def _at_most(name: str, value: float, limit: float, unit: str) -> Row:
    return Row(name, value <= limit, value, unit, f"at most {limit:g}")  # NaN is not at most it


CHECKS = (
    devices_agree,
    predictions_agree,
    evaluation_is_predicted,
    frozen_models_agree,
    fine_tuning_from_a_linear_head,
    executors_agree,
    canonical_pixels_agree,
    mixed_precision_learns,
    training_resumes_exactly,
)
