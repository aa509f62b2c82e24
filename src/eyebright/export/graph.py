"""`Graph`: a list of ONNX nodes, written one call an operation; the names of values are made."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
from jaxtyping import Shaped

from eyebright._optional import import_optional

OPSET = 18
"""The first version of ONNX's operators whose `Resize` is antialiased."""

Value = str
"""The name of a value in a graph."""


class Graph:
    """The nodes of an ONNX graph, in their order, and its constants.

    Args:
        outer: the graph around this one, whose values it can use; None for a top-level graph.
        prefix: what the names of its values begin with, so that they differ from those of a graph it is joined with.

    Raises:
        MissingExtraError: the package onnx is not installed.
    """

    def __init__(self, outer: "Graph | None" = None, *, prefix: str = "eyebright") -> None:
        self._onnx: Any = import_optional("onnx", extra="onnx", purpose="exporting to ONNX")
        self._outer = outer
        self._names: Any = count() if outer is None else outer._names
        self._prefix: str = prefix if outer is None else outer._prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def op(self, kind: str, *inputs: Value, name: str | None = None, **attributes: Any) -> Value:
        """Adds a node with one output, and returns the name of its value.

        Args:
            kind: the operator, such as ``"Mul"``.
            inputs: names of values; empty for an optional input that is left out.
            name: the name of its value; None for one that is made.
            attributes: the attributes of the operator; a subgraph is given as a `Graph` and its outputs, see
                `subgraph`.
        """
        output = name or self._new_name(kind)
        self.nodes.append(
            self._onnx.helper.make_node(kind, list(inputs), [output], name=f"{output}_node", **attributes)
        )
        return output

    def constant(self, value: Shaped[np.ndarray, "..."] | Sequence[Any] | float, dtype: Any = None) -> Value:
        """The name of a constant.

        Args:
            value: an array, or numbers.
            dtype: the numpy dtype; None for that of an array, int64 for whole numbers, float32 for others.
        """
        array = np.asarray(value)
        if dtype is None and not isinstance(value, np.ndarray):
            dtype = np.int64 if array.dtype.kind in "iu" else np.float32
        name = self._new_name("constant")
        self.constants.append(self._onnx.numpy_helper.from_array(np.asarray(array, dtype=dtype, order="C"), name))
        return name

    def cast(self, value: Value, dtype: Any) -> Value:
        """The value converted to a dtype of numpy."""
        return self.op("Cast", value, to=self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def integers(self, *parts: Value | int) -> Value:
        """A vector of integers.

        Args:
            parts: vectors of integers, or numbers.
        """
        values = [part if isinstance(part, str) else self.constant([part]) for part in parts]
        return self.op("Concat", *values, axis=0)

    def side(self, value: Value, axis: int) -> Value:
        """The length of one axis, as a vector with one int64."""
        return self.op("Shape", value, start=axis, end=axis + 1)

    def subgraph(self, output: Value) -> Any:
        """This graph as an attribute of a node of the graph around it, such as a branch of ``If``.

        Args:
            output: the value that it gives, float32 with four axes.
        """
        given = self._onnx.helper.make_tensor_value_info(output, self._onnx.TensorProto.FLOAT, [None] * 4)
        return self._onnx.helper.make_graph(self.nodes, f"{output}_branch", [], [given], self.constants)

    def _new_name(self, kind: str) -> str:
        return f"{self._prefix}_{kind.lower()}_{next(self._names)}"
