"""Which runtime answers: the one that was asked for, or the one that was measured to be faster for this model.

Nothing is measured while a model is loaded, since that would cost more than a few images take: the graph in the model
folder says how long both took when it was made.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import torch

from eyebright._defaults import PREDICTION_PRECISION
from eyebright._system.device import choose_device
from eyebright.errors import InputError, MissingExtraError, did_you_mean, listing
from eyebright.inference.runtimes.base import Precision, Runtime
from eyebright.inference.runtimes.onnx_export import export_onnx
from eyebright.inference.runtimes.onnx_runtime import Note, onnx_runtime
from eyebright.inference.runtimes.torch_runtime import folded_runtime
from eyebright.models.build import ImageModel
from eyebright.types import Size

Name = Literal["auto", "torch", "onnx"]


@dataclass(frozen=True)
class Saved:
    """A model in its folder, of which only what is needed is read.

    Args:
        graph: where its ONNX graph is, if it has one.
        size: of the images; None: they come in sizes of their own.
        model: builds it.
        fingerprint: reads its weights.
    """

    graph: Path
    size: Size | None
    model: Callable[[], ImageModel]
    fingerprint: Callable[[], str]


@dataclass(frozen=True)
class Wish:
    """What the user wants of a runtime.

    Args:
        name: ``"torch"``, ``"onnx"``, or ``"auto"`` for the faster one.
        precision: of the body's numbers.
        device: as `eyebright._system.device.choose_device` takes it; None: for ONNX Runtime the CPU.
        threads: processors that a batch may use; None: what torch is set to.
    """

    name: Name = "auto"
    precision: Precision = PREDICTION_PRECISION
    device: str | torch.device | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        for what, given, known in (("runtime", self.name, Name), ("precision", self.precision, Precision)):
            if given not in get_args(known):
                near = did_you_mean(given, get_args(known))
                raise InputError(f"unknown {what} '{given}'.{near} The known: {listing(get_args(known))}")
        if self.name == "onnx" and (self.against_onnx is not None):
            raise InputError(f"runtime='onnx' cannot be: {self.against_onnx}; runtime='torch' can")

    @property
    def place(self) -> torch.device:
        """Where the model goes; ONNX Runtime is used on the CPU only."""
        return choose_device("cpu" if self.device is None and self.name == "onnx" else self.device)

    @property
    def against_onnx(self) -> str | None:
        """Why ONNX Runtime cannot do it; None: it can."""
        if self.place.type != "cpu":
            return f"ONNX Runtime is used on the processor only, not on '{self.place}'"
        return None if self.precision == "float32" else f"ONNX Runtime computes in float32, not in {self.precision}"


def choose_runtime(saved: Saved, wish: Wish) -> Runtime:
    """The runtime for a model.

    Args:
        saved: the model.
        wish: what is wanted of it.

    Raises:
        InputError: images of many sizes were to go through ONNX Runtime.
        MissingExtraError: ONNX Runtime was asked for and is not installed.
        ArtifactError: the graph is damaged, or torch cannot make one.
    """
    if wish.name == "torch":
        return _torch(saved, wish, "as asked")
    if wish.name == "onnx":
        return _onnx(saved, wish)
    reason = wish.against_onnx
    if reason is None and not saved.graph.is_file():
        reason = f"there is no {saved.graph.name} in the model's folder"
    return _faster(saved, wish) if reason is None else _torch(saved, wish, reason)


def _torch(saved: Saved, wish: Wish, why: str) -> Runtime:
    return folded_runtime(saved.model(), wish.place, precision=wish.precision, threads=wish.threads, why=why)


def _onnx(saved: Saved, wish: Wish) -> Runtime:
    """ONNX Runtime with the graph in the folder, or with one that is made now."""
    if saved.graph.is_file():
        runtime, note = _read(saved, wish)
        if note.fingerprint == saved.fingerprint():
            return runtime
    if saved.size is None:
        raise InputError("runtime='onnx' needs images of one size, and this model's view gives them many; use torch")
    graph = export_onnx(saved.model(), saved.size, fingerprint="")
    return onnx_runtime(graph, threads=wish.threads, why="as asked; exported just now, which save_onnx does once")[0]


def _faster(saved: Saved, wish: Wish) -> Runtime:
    try:
        runtime, note = _read(saved, wish)
    except MissingExtraError as missing:
        return _torch(saved, wish, str(missing))
    if note.fingerprint != saved.fingerprint():
        return _torch(saved, wish, f"{saved.graph.name} is of another model; save_onnx makes it anew")
    return replace(runtime, why=str(note)) if note.faster else _torch(saved, wish, str(note))


def _read(saved: Saved, wish: Wish) -> tuple[Runtime, Note]:
    return onnx_runtime(saved.graph.read_bytes(), name=f"'{saved.graph}'", threads=wish.threads)
