"""What must be the same when a checkpoint is resumed."""

import hashlib
from collections.abc import Sequence
from typing import Any

from eyebright.data.dataloaders import DataLoaders
from eyebright.models.build import ImageModel
from eyebright.tasks.registry import block_to_json


def resume_conditions(model: ImageModel, dls: DataLoaders, *, keep_statistics: bool) -> dict[str, Any]:
    """The model, the data and the settings of a training, as JSON that must be equal when a checkpoint is resumed.

    Args:
        model: the model.
        dls: the training and the validation loader.
        keep_statistics: whether batch norms of the backbone keep their pretrained statistics.
    """
    return {
        "model": model.description.to_json(),
        "target": block_to_json(dls.target),
        "data": dls.datasets.fingerprint(),
        "bs": dls.bs,
        "keep_statistics": keep_statistics,
        "sample_weights": dls.train.sample_weights_fingerprint,
    }


def hash_of_groups(groups: Sequence[Any] | None) -> str | None:
    """A hash of the group of each image; None without groups."""
    return None if groups is None else hashlib.blake2b(repr(list(groups)).encode(), digest_size=8).hexdigest()
