"""The frozen model: a linear head that is fitted to the features of a frozen backbone.

The features of each image are computed once, in evaluation mode and float32, with the transforms of validation: they
equal those of the saved model.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from eyebright.data.dataloaders import DataLoaders
from eyebright.data.loader import Loader
from eyebright.errors import InputError
from eyebright.inference.runtimes.features import FasterExtractor
from eyebright.models.build import ImageModel
from eyebright.models.groups import modes_restored
from eyebright.models.linear_head import pooled_features, use_linear_head
from eyebright.models.split_model import split_at_head
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.columns import is_missing
from eyebright.train.autotune_cache import measurement_key, read_measurement, store_measurement
from eyebright.train.evaluate import Outputs
from eyebright.train.events import Observer
from eyebright.train.features import backbone_hash, compute_features
from eyebright.train.fused_models import FusedModels
from eyebright.train.linear_head.cross_fit import cross_fit
from eyebright.train.linear_head.fit import LinearHead, fit_linear_head
from eyebright.train.linear_head.folds import target_folds
from eyebright.train.run import Run

_ROWS = 8192  # images whose outputs are computed at once
_MANY_IMAGES = 5000  # 20,480 features of each, of 1,280 channels in 4 x 4 places, take 400 MB and a minute to fit


@dataclass(frozen=True, eq=False)
class Features:
    """The pooled features of the training and of the validation images, as ``outputs`` of shape (n, d), in float32."""

    train: Outputs
    valid: Outputs


class FrozenModel:
    """A model with a frozen backbone: its features, and the linear heads that are fitted to them.

    Args:
        model: the model of the run.
        run: the run, with the device, the seed and the number of steps.
        fused: the forms in which the model computes.
    """

    def __init__(self, model: ImageModel, run: Run, fused: FusedModels) -> None:
        self.model = model
        self._run = run
        self._fused = fused
        self._last: tuple[tuple[Any, ...], Features] | None = None  # with the data that they were computed from

    def features(self, dls: DataLoaders, observe: Observer) -> Features:
        """The features of both sets, each in the order of its loader; they are reused if nothing has changed.

        Args:
            dls: the training loader, whose images are read without augmentation, and the validation loader.
            observe: called with an event before the first batch of each set and after each batch.

        Raises:
            InputError: no image can be read, or the images have no targets.
        """
        if (last := self.last_features(dls)) is not None:
            return last
        data = _data_of(dls)
        version = self._run.version_of(self.model.body)
        extractor = pooled_features(self._fused.for_evaluation(), head_pool_size(dls))
        device = self._run.device
        backbone = None if dls.cache is None else backbone_hash(self.model, extractor, device)
        n_images = len(dls.train_ds) + len(dls.valid_ds)
        key = measurement_key("features", extractor, (n_images, *self.model.description.input.size))
        known = read_measurement(key)
        faster = FasterExtractor(extractor, n_images, known=known if isinstance(known, bool) else None)
        train, valid = (
            compute_features(faster, loader, device, observe, backbone=backbone)
            for loader in (dls.evaluation_loader(0), dls.valid)
        )
        if faster.measured is not None and device.is_main:
            store_measurement(key, faster.measured)
        features = Features(train, valid)
        self._last = (*data, version), features
        return features

    def last_features(self, dls: DataLoaders) -> Features | None:
        """The features that were computed last; None if the data or the backbone have changed since."""
        if self._last is None:
            return None
        *last_data, last_version = self._last[0]
        is_same = all(a is b for a, b in zip(last_data, _data_of(dls), strict=True))
        return self._last[1] if is_same and last_version == self._run.version_of(self.model.body) else None

    def forget_features(self) -> None:
        """Frees the memory of the last features, which belong to other images or another backbone."""
        self._last = None

    def fit_head(
        self,
        dls: DataLoaders,
        features: Features,
        *,
        C: float | Sequence[float] | None,
        groups: Sequence[Any] | None,
    ) -> tuple[LinearHead, Outputs]:
        """Fits a linear head to the training images, which replaces the head; returns it with its validation outputs.

        Args:
            dls: the data of the features.
            features: the features of the current backbone.
            C: the inverse strength of the penalty, see `fit_linear_head`.
            groups: the group of each item of the data; groups are not divided by inner folds.

        Raises:
            InputError: no target is known, or ``C`` or ``groups`` is invalid.
        """
        fitted = fit_linear_head(
            *_features_and_targets(features.train, dls.target),
            objective=dls.target.head_objective,
            names=dls.target.output_names,
            sample_weight=image_weights(dls.train, features.train),
            groups=image_groups(groups, features.train, len(dls.datasets)),
            C=C,
            seed=self._run.seed,
        )
        use_linear_head(self.model, fitted.weight, fitted.bias, pool_size=head_pool_size(dls))
        return fitted, replace(features.valid, outputs=self.head_outputs(features.valid.outputs))

    def out_of_fold(
        self,
        dls: DataLoaders,
        features: Features,
        n_folds: int,
        *,
        C: float | Sequence[float] | None,
        groups: Sequence[Any] | None,
    ) -> Outputs:
        """Outputs for all images of both sets, in the order of the items, by linear heads that were not fitted to them.

        Args:
            dls: the data of the features.
            features: the features of the current backbone, for which `check_not_trained` raises no error.
            n_folds: the number of folds, each with its own head.
            C: as in `fit_head`, chosen separately for each fold.
            groups: as in `fit_head`; no group is in two folds.

        Raises:
            InputError: ``n_folds`` is out of range, or as in `fit_head`.
        """
        both = _joined([features.train, features.valid])
        rows, targets = _features_and_targets(both, dls.target)
        members = image_groups(groups, both, len(dls.datasets))
        objective, seed = dls.target.head_objective, self._run.seed
        outputs = cross_fit(
            rows,
            targets,
            target_folds(targets, n_folds, objective=objective, groups=members, seed=seed),
            objective=objective,
            names=dls.target.output_names,
            sample_weight=image_weights(dls.train, both),
            groups=members,
            C=C,
            seed=seed,
        )
        return replace(both, outputs=outputs.float())

    def check_not_trained(self) -> None:
        """Raises `InputError` if the backbone was trained, since it may have been trained on the images."""
        if self.model.backbone_was_trained:
            raise InputError(
                "the backbone was trained, perhaps on these images, so no head on its features is independent of "
                "them: compute out-of-fold outputs before training, with a new learner"
            )

    def head_outputs(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """The outputs of the model's head for pooled features, on the CPU."""
        head, device = split_at_head(self.model).head, self._run.device.torch_device
        with torch.inference_mode(), modes_restored(head):
            head.eval()
            return torch.cat([head(rows.to(device)).float().cpu() for rows in features.split(_ROWS)])


def _data_of(dls: DataLoaders) -> tuple[Any, ...]:
    """The data that the features are computed from."""
    return dls.train.dataset, dls.train.pipeline, dls.valid, dls.valid.dataset, dls.valid.pipeline


def head_pool_size(dls: DataLoaders) -> int:
    """Height and width of the pooled maps of a linear head: the size for the target, or at most 2 for many images."""
    wanted = dls.target.head_pool_size
    return wanted if len(dls.train_ds) <= _MANY_IMAGES else min(wanted, 2)


def image_weights(loader: Loader, features: Outputs) -> Float[Tensor, " n"] | None:
    """The sample weight of each image of ``features``, 1 on average; None without weights.

    Args:
        loader: the training loader; images that are not in it have the weight 1.
        features: features of images.
    """
    if loader.probabilities is None:
        return None
    weights = dict(zip(loader.dataset.indices, loader.probabilities * len(loader.dataset), strict=True))
    return torch.tensor([weights.get(index, 1.0) for index in features.indices], dtype=torch.float64)


def image_groups(groups: Sequence[Any] | None, features: Outputs, n_items: int) -> Int[Tensor, " n"] | None:
    """An integer for the group of each image of ``features``; None without groups.

    Args:
        groups: the group of each item of the data, of any hashable type; None or NaN: the image is its own group.
        features: features of some of them.
        n_items: the number of items.

    Raises:
        InputError: there is not one group for each item, or a group is not hashable.
    """
    if groups is None:
        return None
    if len(groups) != n_items:
        raise InputError(f"`groups` needs one group for each of {n_items} items, got {len(groups)}")
    numbers: dict[Any, int] = {}
    own = [groups[index] for index in features.indices]
    try:
        # An image whose group is missing is a group of its own.
        keys = [("image", i) if is_missing(group) else ("group", group) for i, group in enumerate(own)]
        return torch.tensor([numbers.setdefault(key, len(numbers)) for key in keys])
    except TypeError:
        raise InputError("`groups` must be values that can be compared, such as numbers or text") from None


def _features_and_targets(
    features: Outputs, block: TargetBlock
) -> tuple[Float[Tensor, "n d"], Shaped[Tensor, "n ..."]]:
    """The features as rows, and the targets in the form for fitting a linear head."""
    assert features.targets is not None  # `compute_features` refuses images without targets
    return features.outputs.flatten(1), block.head_targets(features.targets)


def _joined(parts: Iterable[Outputs]) -> Outputs:
    """The features of several datasets of the same items, in the order of the items."""
    parts = list(parts)
    indices = [index for part in parts for index in part.indices]
    warps = [warp for part in parts for warp in part.warps]
    order = sorted(range(len(indices)), key=indices.__getitem__)
    return Outputs(
        torch.cat([part.outputs for part in parts])[order],
        torch.cat([part.targets for part in parts if part.targets is not None])[order],
        tuple(indices[i] for i in order),
        tuple(warps[i] for i in order),
    )
