"""A table of a model's layers with output shapes and parameter counts, as fastai's ``learn.summary()`` prints it."""

from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

from eyebright import _html as html
from eyebright.models.build import ImageModel
from eyebright.models.groups import modes_restored

WIDTH = 76


@dataclass(frozen=True)
class LayerSummary:
    """A layer: one row of the table.

    Args:
        name: class name of the layer.
        shape: output shape including the batch; None for a module with both parameters and submodules, such as
            a ViT with its position embedding.
        parameters: number of parameters of the layer itself, without submodules.
        trainable: whether any of these parameters requires gradients; None if there are none.
    """

    name: str
    shape: tuple[int, ...] | None
    parameters: int
    trainable: bool | None

    @property
    def cells(self) -> tuple[str, str]:
        """The table cells "parameters" and "trainable"; empty for a layer without parameters."""
        return ("", "") if self.trainable is None else (str(self.parameters), str(self.trainable))

    def __str__(self) -> str:
        count, trainable = self.cells
        return f"{self.name:<20} {'':<20} {count:<10} {trainable:<10}"


@dataclass(frozen=True)
class ModelSummary:
    """The layers of a model and its number of parameters; ``str`` gives the same table as fastai.

    Args:
        model: class name of the model.
        input_shape: input shape (b, c, h, w).
        layers: the layers, in the order of ``model.modules()``.
        total: number of parameters.
        trainable: number of trainable parameters.
    """

    model: str
    input_shape: tuple[int, ...]
    layers: tuple[LayerSummary, ...]
    total: int
    trainable: int

    def __str__(self) -> str:
        line = "_" * WIDTH
        header = f"{'Layer (type)':<20} {'Output Shape':<20} {'Param #':<10} {'Trainable':<10}"
        blocks = [
            "\n".join([f"{'':<20} {_shape(shape):<20}", *map(str, rows)])
            for shape, rows in groupby(self.layers, key=lambda layer: layer.shape)
        ]
        return "\n".join(
            [
                f"{self.model} (Input shape: {_shape(self.input_shape)})",
                "=" * WIDTH,
                header,
                "=" * WIDTH,
                *[f"{block}\n{line}" for block in blocks],
                "",
                f"Total params: {self.total:,}",
                f"Total trainable params: {self.trainable:,}",
                f"Total non-trainable params: {self.total - self.trainable:,}",
            ]
        )

    def to_html(self) -> str:
        """The table as HTML; of consecutive layers with the same output shape only the first shows it."""
        rows = [
            (layer.name, "" if index else _shape(shape), *layer.cells)
            for shape, layers in groupby(self.layers, key=lambda layer: layer.shape)
            for index, layer in enumerate(layers)
        ]
        return html.block(
            f"{self.model} (input {_shape(self.input_shape)})",
            html.table(("layer", "output shape", "parameters", "trainable"), rows, text_columns=2),
            html.paragraph(
                f"{self.total:,} parameters: {self.trainable:,} trainable, {self.total - self.trainable:,} frozen"
            ),
        )

    def _repr_html_(self) -> str:
        """The HTML table, displayed by notebooks."""
        return self.to_html()


def summarize(model: ImageModel, sample_shape: tuple[int, ...]) -> ModelSummary:
    """The layers of ``model`` with their output shapes for an input of shape ``sample_shape``.

    Shapes come from a forward pass of one all-zero image in evaluation mode; the model is unchanged afterwards.

    Args:
        model: the model, on any device.
        sample_shape: (b, c, h, w) of the input; b only appears in the table.

    Raises:
        InputError: the backbone has a fixed input size other than (h, w).
    """
    batch = sample_shape[0]
    shapes = _output_shapes(model, sample_shape[1:])
    layers: list[LayerSummary] = []
    for layer in model.modules():
        own = list(layer.parameters(recurse=False))
        shape = shapes.get(layer) if not list(layer.children()) else None
        if own or shape:
            layers.append(
                LayerSummary(
                    name=type(layer).__name__,
                    shape=(batch, *shape[1:]) if shape else None,
                    parameters=sum(parameter.numel() for parameter in own),
                    trainable=any(parameter.requires_grad for parameter in own) if own else None,
                )
            )
    parameters = list(model.parameters())
    return ModelSummary(
        model=type(model).__name__,
        input_shape=sample_shape,
        layers=tuple(layers),
        total=sum(parameter.numel() for parameter in parameters),
        trainable=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
    )


def _output_shapes(model: ImageModel, image_shape: tuple[int, ...]) -> dict[nn.Module, tuple[int, ...]]:
    shapes: dict[nn.Module, tuple[int, ...]] = {}

    def record(layer: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            shapes[layer] = tuple(output.shape)

    hooks = [layer.register_forward_hook(record) for layer in model.modules()]
    try:
        with modes_restored(model), torch.no_grad():
            model.eval()(model.mean.new_zeros(1, *image_shape))
    finally:
        for hook in hooks:
            hook.remove()
    return shapes


def _shape(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else " x ".join(map(str, shape))
