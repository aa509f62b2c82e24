"""`FusedModels`: the forms in which a model computes, with batch norms fused into convolutions."""

from torch import nn

from eyebright.models.batchnorm.fuse import ConvNormPair, find_conv_bn_pairs, fuse_conv_bn
from eyebright.models.batchnorm.fuse_training import fuse_for_training
from eyebright.models.build import ImageModel
from eyebright.models.groups import set_training_mode


class FusedModels:
    """The forms of a model for training and for evaluation, which are faster than the model itself.

    The pairs of convolution and batch norm are traced once, and again if layers of the model were replaced.

    Args:
        model: the model, whose parameters all forms share.
    """

    def __init__(self, model: ImageModel) -> None:
        self.model = model
        self._traced: tuple[list[nn.Module], list[ConvNormPair]] = ([], [])  # the traced layers, and their pairs

    def for_training(self, *, train_bn: bool, keep_statistics: bool) -> ImageModel:
        """The model that a training step calls: in training mode, with batch norms fused that are in evaluation mode.

        Args:
            train_bn: whether norm layers of a frozen backbone are trained.
            keep_statistics: batch norms of the backbone keep their running statistics.
        """
        set_training_mode(self.model, train_bn=train_bn, keep_statistics=keep_statistics)
        fused = fuse_for_training(self.model, self.model.description.input.size, pairs=self._pairs())
        assert isinstance(fused, ImageModel)  # the model, or a copy of it
        return fused

    def for_evaluation(self) -> ImageModel:
        """A copy of the model with the current weights and in evaluation mode."""
        fused = fuse_conv_bn(self.model, self.model.description.input.size, pairs=self._pairs())
        assert isinstance(fused, ImageModel)  # a copy of the model
        return fused

    def _pairs(self) -> list[ConvNormPair]:
        """Each convolution with the batch norm that follows it."""
        layers = list(self.model.modules())
        known, pairs = self._traced
        if len(known) != len(layers) or any(a is not b for a, b in zip(known, layers, strict=True)):
            description = self.model.description
            pairs = find_conv_bn_pairs(self.model, description.input.size, n_in=description.n_in)
            self._traced = layers, pairs
        return pairs
