"""`FasterExtractor`: features of many images by torch or by ONNX Runtime, whichever is faster on this machine.

It is measured on the images themselves. The graph is traced by torch's TorchScript exporter: it takes about a second
(`eyebright.inference.runtimes.onnx_export`, whose graphs are kept and used elsewhere, takes ten), and this graph is
used once, after its features have been compared with torch's.
"""

import io
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright.errors import first_line
from eyebright.inference.runtimes.onnx_runtime import IMAGES, OUTPUTS, create_session

TOLERANCE = 3e-5  # relative to the largest feature; float32 sums in another order differ by less
_MIN_SECONDS = 10.0  # estimated time of torch from which an export, of one or two seconds, is tried
_MIN_IMAGES = 200  # with fewer images the measurement would take a noticeable share
_N_TIMED = 4  # images with which both are timed
_CLEAR_SPEEDUP = 3  # speed-up from which torch is not timed again without its first, slower call
_OPSET = 18


@final
class FasterExtractor(nn.Module):
    """Computes an extractor's features, up to rounding; on a CPU by ONNX Runtime, if there are many and it is faster.

    Torch is timed with a few images of the first batch. If all images would take it more than ten seconds, the
    extractor is exported and timed with the same images; it is used if it was faster and its features are the same.

    Args:
        extractor: the network that computes features of shape (b, d), in evaluation mode.
        n_images: number of images whose features will be computed.
        known: whether ONNX Runtime was faster when it was measured; None: it is measured. A run that is repeated or
            resumed then has the same features, whatever else the machine is doing.
    """

    def __init__(self, extractor: nn.Module, n_images: int, *, known: bool | None = None) -> None:
        super().__init__()
        self.extractor = extractor
        self.why = "torch: there are few images"
        self.measured: bool | None = None  # whether ONNX Runtime is faster; None if nothing was measured
        self._n_images = n_images
        self._known = known
        self._is_chosen = n_images < _MIN_IMAGES
        self._session: Any = None

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b *features"]:
        """The features, computed without gradients."""
        if not self._is_chosen:
            self._choose(x[:_N_TIMED])
            self._is_chosen = True
        return self.extractor(x) if self._session is None else _run(self._session, x)

    def _choose(self, x: Float[Tensor, "b c h w"]) -> None:
        """Uses ONNX Runtime from now on, if it gives the same features of some images in less time."""
        if (reason := self._reason_for_torch(x)) is not None:
            self.why = f"torch: {reason}"
            return
        expected, torch_seconds = _timed(self.extractor, x)  # including the choice of kernels
        if self._known is None:
            self.measured = False
            if torch_seconds / len(x) * self._n_images < _MIN_SECONDS:
                self.why = f"torch: it needs less than {_MIN_SECONDS:g} seconds"
                return
        try:
            session = create_session(feature_graph(self.extractor, x))
            features, _ = _timed(lambda images: _run(session, images), x)
            _, onnx_seconds = _timed(lambda images: _run(session, images), x)
        except Exception as error:  # neither the exporter nor the runtime has a base class for its exceptions
            self.why = f"torch: {first_line(error)}"
            return
        if torch_seconds < _CLEAR_SPEEDUP * onnx_seconds:
            _, torch_seconds = _timed(self.extractor, x)
        times = f"{1000 * onnx_seconds / len(x):.3g} ms per image, torch {1000 * torch_seconds / len(x):.3g} ms"
        difference = (features - expected).abs().max().item()
        if not difference <= TOLERANCE * max(1.0, expected.abs().max().item()):
            self.why = f"torch: the features of ONNX Runtime differ by up to {difference:.2g}"
        elif self._known is None and onnx_seconds >= torch_seconds:
            self.why = f"torch: ONNX Runtime is not faster ({times})"
        else:
            self._session, self.why = session, f"ONNX Runtime: {times}"
            self.measured = None if self._known else True

    def _reason_for_torch(self, x: Float[Tensor, "b c h w"]) -> str | None:
        """Why torch is used without a measurement; None: ONNX Runtime may be faster."""
        if x.device.type != "cpu":
            return "the images are not on the CPU"
        if find_spec("onnxruntime") is None:
            return "onnxruntime is not installed"
        if self._known is False:
            return "ONNX Runtime was not faster, as measured before"
        return None


def _run(session: Any, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b *features"]:
    images = np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy())  # a view: batches are channels_last
    return torch.from_numpy(session.run(None, {IMAGES: images})[0])


def _timed(compute: Callable[[Tensor], Tensor], x: Float[Tensor, "b c h w"]) -> tuple[Tensor, float]:
    """The features, and the seconds that they take."""
    started = time.perf_counter()
    features = compute(x)
    return features, time.perf_counter() - started


class _FromPixels(nn.Module):
    """An extractor for images of shape (batch, height, width, channels)."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, images: Float[Tensor, "b h w c"]) -> Float[Tensor, "b *features"]:
        """The features."""
        return self.extractor(images.permute(0, 3, 1, 2).contiguous())


def feature_graph(extractor: nn.Module, x: Float[Tensor, "b c h w"]) -> bytes:
    """An extractor as an ONNX graph, from images of shape (batch, height, width, channels) to features.

    Args:
        extractor: the network, in evaluation mode, on the CPU.
        x: a batch; the graph is for images of this size, and for batches of any length.

    Raises:
        NotImplementedError: the exporter does not support this pooling.
    """
    # Another length than the batch: a graph with a fixed batch size then fails in the comparison.
    example = torch.zeros(2 if len(x) != 2 else 3, *x.permute(0, 2, 3, 1).shape[1:])
    file: Any = io.BytesIO()  # torch takes it, although its annotation says otherwise
    pooled = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
    hooks = [
        module.register_forward_pre_hook(_check_pooling) for module in extractor.modules() if isinstance(module, pooled)
    ]
    with ExitStack() as stack, warnings.catch_warnings(), torch.inference_mode(mode=False), torch.no_grad():
        for hook in hooks:
            stack.callback(hook.remove)
        warnings.simplefilter("ignore")  # warnings of torch about its own code and about this older exporter
        torch.onnx.export(
            _FromPixels(extractor).eval(),
            (example,),
            file,
            dynamo=False,
            input_names=[IMAGES],
            output_names=[OUTPUTS],
            dynamic_axes={IMAGES: {0: "batch"}, OUTPUTS: {0: "batch"}},
            opset_version=_OPSET,
        )
    return file.getvalue()


def _check_pooling(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Raises before the exporter would fail, since that prints the whole graph on standard output."""
    wanted: Any = module.output_size
    places = [int(side) for side in inputs[0].shape[-2:]]
    into = wanted if isinstance(wanted, tuple) else (wanted, wanted)
    if any(side is not None and have % side for have, side in zip(places, into, strict=True)):
        raise NotImplementedError(f"ONNX has no pooling of {places[0]}x{places[1]} positions into {into[0]}x{into[1]}")
