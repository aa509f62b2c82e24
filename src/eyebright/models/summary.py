"""What a model is made of, layer by layer: the table that the book prints as ``learn.summary()``."""

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
    """One row of the table.

    Args:
        name: the layer's class.
        shape: of its output, with the batch; None for parameters that stand outside of any layer's call.
        parameters: how many it has itself.
        trainable: whether they learn; None when there are none.
    """

    name: str
    shape: tuple[int, ...] | None
    parameters: int
    trainable: bool | None

    @property
    def counted(self) -> tuple[str, str]:
        """How many parameters it has and whether they learn, in words; nothing where it has none."""
        return ("", "") if self.trainable is None else (str(self.parameters), str(self.trainable))

    def __str__(self) -> str:
        count, learns = self.counted
        return f"{self.name:<20} {'':<20} {count:<10} {learns:<10}"


@dataclass(frozen=True)
class ModelSummary:
    """A model's layers and how many of its parameters learn; as text it is the book's table.

    Args:
        model: the class of the model.
        input_shape: of the batch that it was shown.
        layers: in the order in which the model holds them.
        total: number of parameters.
        trainable: how many of them learn.
    """

    model: str
    input_shape: tuple[int, ...]
    layers: tuple[LayerSummary, ...]
    total: int
    trainable: int

    def __str__(self) -> str:
        line = "_" * WIDTH
        head = f"{'Layer (type)':<20} {'Output Shape':<20} {'Param #':<10} {'Trainable':<10}"
        blocks = [
            "\n".join([f"{'':<20} {_shape(shape):<20}", *map(str, rows)])
            for shape, rows in groupby(self.layers, key=lambda layer: layer.shape)
        ]
        return "\n".join(
            [
                f"{self.model} (Input shape: {_shape(self.input_shape)})",
                "=" * WIDTH,
                head,
                "=" * WIDTH,
                *[f"{block}\n{line}" for block in blocks],
                "",
                f"Total params: {self.total:,}",
                f"Total trainable params: {self.trainable:,}",
                f"Total non-trainable params: {self.total - self.trainable:,}",
            ]
        )

    def to_html(self) -> str:
        """The same table for a notebook, with the shape beside the first layer that gives it."""
        rows = [
            (layer.name, "" if place else _shape(shape), *layer.counted)
            for shape, layers in groupby(self.layers, key=lambda layer: layer.shape)
            for place, layer in enumerate(layers)
        ]
        return html.block(
            f"{self.model} (input {_shape(self.input_shape)})",
            html.table(("layer", "output shape", "parameters", "trainable"), rows, text_columns=2),
            html.paragraph(
                f"{self.total:,} parameters: {self.trainable:,} learn, {self.total - self.trainable:,} do not"
            ),
        )

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return self.to_html()


def summarise(model: ImageModel, sample_shape: tuple[int, ...]) -> ModelSummary:
    """The layers of ``model`` with the shapes that they give for a batch of ``sample_shape``.

    The model sees one black image in evaluation mode and is left as it was.

    Args:
        model: any model on any device.
        sample_shape: (b, c, h, w).
    """
    batch = sample_shape[0]
    shapes = _output_shapes(model, sample_shape[1:])
    layers: list[LayerSummary] = []
    for layer in model.modules():
        own = list(layer.parameters(recurse=False))
        called = shapes.get(layer) if not list(layer.children()) else None
        if own or called:
            layers.append(
                LayerSummary(
                    name=type(layer).__name__,
                    shape=(batch, *called[1:]) if called else None,
                    parameters=sum(parameter.numel() for parameter in own),
                    trainable=any(parameter.requires_grad for parameter in own) if own else None,
                )
            )
    every = list(model.parameters())
    return ModelSummary(
        model=type(model).__name__,
        input_shape=sample_shape,
        layers=tuple(layers),
        total=sum(parameter.numel() for parameter in every),
        trainable=sum(parameter.numel() for parameter in every if parameter.requires_grad),
    )


def _output_shapes(model: ImageModel, image: tuple[int, ...]) -> dict[nn.Module, tuple[int, ...]]:
    shapes: dict[nn.Module, tuple[int, ...]] = {}

    def note(layer: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            shapes[layer] = tuple(output.shape)

    hooks = [layer.register_forward_hook(note) for layer in model.modules()]
    try:
        with modes_restored(model), torch.no_grad():
            model.eval()(model.mean.new_zeros(1, *image))
    finally:
        for hook in hooks:
            hook.remove()
    return shapes


def _shape(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else " x ".join(map(str, shape))
