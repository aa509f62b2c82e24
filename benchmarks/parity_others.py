"""How others preprocess images, for the same network: each makes what ``model_fixed.onnx`` of an export takes.

All resize the shorter side to that of the model's input and crop the centre, as the measured models do; timm's own
configuration of the backbone, which crops more, is a way of its own.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import PIL.Image
import PIL.ImageOps
import torch

from eyebright.export.record import FIXED, WHOLE, ExportRecord, read_export

Array = np.ndarray[Any, np.dtype[Any]]
Way = Callable[[], Array]
"""Gives the probabilities, a row for each image."""
FASTAI = ("fastai", "fastcore", "fastprogress<1.1", "fasttransform", "plum-dispatch", "beartype", "fastdownload")
_WITH_FASTAI = """
import json, sys
import numpy as np
from fastai.vision.augment import Resize
from fastai.vision.core import PILImage
height, width = map(int, sys.argv[1:3])
resize = Resize((height, width))
images = [np.asarray(resize(PILImage.create(path), split_idx=1)) for path in json.load(sys.stdin)]
np.save(sys.argv[3], np.stack(images))
"""


def installed(folder: Path, *packages: str) -> dict[str, str]:
    """An environment in which these packages come first; everything else is that of this interpreter.

    Args:
        folder: where they are installed, without what they depend on.
        packages: as `pip install` takes them.
    """
    installer = ["uv", "pip"] if _has_uv() else ["pip"]
    command = [sys.executable, "-m", *installer, "install", "-q", "--no-deps", "--target", str(folder), *packages]
    if not folder.exists():
        subprocess.run(command, check=True)
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _has_uv() -> bool:
    return subprocess.run([sys.executable, "-m", "uv", "--version"], capture_output=True, check=False).returncode == 0


def other_ways(shipped: Path, record: ExportRecord, arch: str, paths: Sequence[str], work: Path) -> dict[str, Way]:
    """The ways by their names.

    Args:
        shipped: the folder of the export.
        record: its record.
        arch: timm's name of the backbone.
        paths: the paths of images.
        work: where packages are installed.
    """
    height, width = record.preprocessing["output"]
    run = _network(shipped)

    def through(pixels: Callable[[PIL.Image.Image], Array]) -> Way:
        return lambda: run(pixels(opened(path)) for path in paths)

    return {
        "timm's transform, bilinear": through(_timm(height, width, interpolation="bilinear", crop_pct=1.0)),
        "timm's transform, bicubic": through(_timm(height, width, interpolation="bicubic", crop_pct=1.0)),
        "timm's transform as it configures the backbone": through(_timm(height, width, **_configured(arch))),
        "fastai's Resize": lambda: run(_fastai(paths, height, width, work)),
        "torchvision's resize of uint8 tensors, antialiased": through(_torchvision(height, width)),
        "onnxruntime-extensions' preprocessing": lambda: _extensions(shipped, paths, height, width, work),
        "Resize without antialias": lambda: without_antialias(shipped, paths),
    }


def opened(path: str) -> PIL.Image.Image:
    """The RGB image, turned as its EXIF data say."""
    return PIL.ImageOps.exif_transpose(PIL.Image.open(path)).convert("RGB")


def _network(shipped: Path) -> Callable[[Iterator[Array]], Array]:
    """Runs ``model_fixed.onnx`` on float32 pixels in [0, 1], 3 x height x width."""
    session: Any = onnxruntime.InferenceSession(read_export(shipped, FIXED))
    return lambda images: np.concatenate([session.run(None, {"pixels": image[None]})[0] for image in images])


def _timm(height: int, width: int, **options: Any) -> Callable[[PIL.Image.Image], Array]:
    from timm.data.transforms_factory import create_transform

    # The exported network normalises, so the transform does not.
    transform: Any = create_transform((3, height, width), is_training=False, mean=(0,) * 3, std=(1,) * 3, **options)
    return lambda image: transform(image).numpy()


def _configured(arch: str) -> dict[str, Any]:
    from timm.data.config import resolve_data_config
    from timm.models import create_model

    found = resolve_data_config(model=create_model(arch, pretrained=False))
    return {name: found[name] for name in ("interpolation", "crop_pct", "crop_mode")}


def _fastai(paths: Sequence[str], height: int, width: int, work: Path) -> Iterator[Array]:
    """The pixels of fastai's validation images, made in a process of its own."""
    import json

    environment, out = installed(work / "fastai", *FASTAI), work / "fastai.npy"
    command = [sys.executable, "-W", "ignore", "-c", _WITH_FASTAI, str(height), str(width), str(out)]
    subprocess.run(command, check=True, input=json.dumps(list(paths)), text=True, env=environment)
    return (image.transpose(2, 0, 1).astype(np.float32) / 255 for image in np.load(out, mmap_mode="r"))


def _torchvision(height: int, width: int) -> Callable[[PIL.Image.Image], Array]:
    from torchvision.transforms.v2 import functional

    def pixels(image: PIL.Image.Image) -> Array:
        tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        small = functional.resize(tensor, [min(height, width)], antialias=True)
        return (functional.center_crop(small, [height, width]).float() / 255).numpy()

    return pixels


def _extensions(shipped: Path, paths: Sequence[str], height: int, width: int, work: Path) -> Array:
    """The network behind the graph that onnxruntime-extensions writes for a resize and a crop."""
    installed(work / "extensions", "onnxruntime-extensions")
    sys.path.append(str(work / "extensions"))
    import importlib

    made: Any = importlib.import_module("onnxruntime_extensions.tools.pre_post_processing")
    size = made.create_named_value("image", onnx.TensorProto.UINT8, ["h", "w", 3])
    network = onnx.load_from_string(read_export(shipped, FIXED))
    opset = next(one.version for one in network.opset_import if one.domain in ("", "ai.onnx"))
    pipeline = made.PrePostProcessor([size], onnx_opset=opset)
    pipeline.add_pre_processing(
        [
            made.Resize(min(height, width), policy="not_smaller"),
            made.CenterCrop(height, width),
            made.ChannelsLastToChannelsFirst(),
            made.ImageBytesToFloat(),
            made.Unsqueeze([0]),
        ]
    )
    whole = pipeline.run(network)
    session: Any = onnxruntime.InferenceSession(whole.SerializeToString())
    place = next(i for i, output in enumerate(session.get_outputs()) if output.name == "probabilities")
    return np.concatenate([session.run(None, {"image": np.asarray(opened(path))})[place] for path in paths])


def without_antialias(shipped: Path, paths: Sequence[str]) -> Array:
    """``model.onnx`` with a ``Resize`` as runtimes compute it that know no antialiasing, such as TensorRT."""
    model = onnx.load_from_string(read_export(shipped, WHOLE))
    branches = [attribute.g for node in model.graph.node if node.op_type == "If" for attribute in node.attribute]
    for node in (node for branch in branches for node in branch.node if node.op_type == "Resize"):
        for attribute in node.attribute:
            if attribute.name in ("antialias", "exclude_outside"):
                attribute.i = 0
    session: Any = onnxruntime.InferenceSession(model.SerializeToString())
    return np.concatenate([session.run(None, {"images": np.asarray(opened(path))[None]})[0] for path in paths])
