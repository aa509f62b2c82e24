"""The files of a model folder by name, and the limits of the manifest; importing it loads no torch."""

import os
from pathlib import Path

SCHEMA = 2
"""The schema version of a written manifest."""
WEIGHTS = "model.safetensors"
MANIFEST = "manifest.json"
PREVIOUS = "manifest.previous.json"  # the manifest before the last change
PREVIOUS_EVALUATION = "evaluation.previous.parquet"  # the evaluation before the last change, if that changed it
EVALUATION = "evaluation.parquet"
OUT_OF_FOLD = "out_of_fold.parquet"
OUT_OF_DISTRIBUTION = "out_of_distribution.safetensors"  # statistics of the features of training images
TRAINING_IMAGES = "training_images.json"  # the paths of some training images
GRAPH = "network.onnx"  # written by `save_onnx`; `eyebright export` writes model.onnx
OFFLINE_PAGE = "page.html"
EXPORT_RECORD = "export.json"

HASHED = (EVALUATION, OUT_OF_FOLD, OUT_OF_DISTRIBUTION, TRAINING_IMAGES)
"""The files other than weights and manifest whose hash is in the manifest, under their name without its ending."""
EXECUTABLE = (".pkl", ".pickle", ".pth", ".pt", ".pt2", ".bin", ".ckpt", ".joblib", ".py")
"""Types of files that can run code when they are loaded or started."""
MAX_MANIFEST_BYTES = 32 * 2**20
"""The maximum size of a manifest in bytes."""
MAX_MANIFEST_CONTAINERS = 200_000
"""The maximum number of JSON lists and objects in a manifest: these make parsing slow, not numbers and strings."""


def no_folder_text(folder: Path, what: str = "model folder") -> str:
    """The message for a path that is not a folder: it does not exist, or is a file.

    Args:
        folder: the path.
        what: what was expected there.
    """
    # Path.is_file raises for a name that is too long.
    return f"'{folder}' is a file, not a {what}" if os.path.isfile(folder) else f"there is no {what} '{folder}'"  # noqa: PTH113
