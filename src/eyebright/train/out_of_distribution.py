"""Fits the out-of-distribution score of a trained model to features of its training and validation images."""

import torch

from eyebright.data.dataloaders import DataLoaders
from eyebright.inference.out_of_distribution import MAX_IMAGES, OutOfDistribution, fit_out_of_distribution
from eyebright.models.heads import AdaptiveConcatPool2d
from eyebright.models.split_model import split_at_head
from eyebright.train.evaluate import Outputs
from eyebright.train.frozen import Features, FrozenModel
from eyebright.train.model_outputs import ModelOutputs

_MAX_COMPUTED = 500  # most images of a dataset whose features are computed for the score


def fit_to_data(
    dls: DataLoaders, outputs: ModelOutputs, frozen: FrozenModel, *, known: Features | None, seed: int
) -> OutOfDistribution | None:
    """The fitted out-of-distribution score; None for fewer than 10 training or validation images.

    Args:
        dls: the data of the model.
        outputs: computes the features.
        frozen: computes the outputs of the head for them.
        known: the features of all images, if they were computed before; None: those of some images are computed.
        seed: the seed of the choice of images.

    Raises:
        InputError: no image can be read.
    """
    extractor = split_at_head(outputs.model).feature_extractor
    blocks = 1 + any(isinstance(layer, AdaptiveConcatPool2d) for layer in extractor.pooling)
    parts = [_some(dls, ds_idx, outputs, seed) for ds_idx in (0, 1)] if known is None else [known.train, known.valid]
    train, valid = (part.outputs.flatten(1).float() for part in parts)
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:MAX_IMAGES]
    logits = frozen.head_outputs(parts[1].outputs) if dls.target.is_categorical else None
    return fit_out_of_distribution(train[chosen], valid, logits, blocks=blocks)


def _some(dls: DataLoaders, ds_idx: int, outputs: ModelOutputs, seed: int) -> Outputs:
    """The features of at most 500 images of a dataset."""
    return outputs.features(dls.random_batch_loader(ds_idx, _MAX_COMPUTED, seed=seed, bs=dls.valid.bs))
