"""The out-of-distribution score as ONNX nodes: what `OutOfDistribution.scores` computes, in float32."""

import numpy as np

from eyebright.export.answers_graph import Output
from eyebright.export.graph import Graph, Value
from eyebright.inference.out_of_distribution import THRESHOLD, OutOfDistribution

SCORE = "ood_score"
"""The output with the score of each image, float32."""
FLAG = "ood"
"""The output with whether the score is above its threshold: 1 yes, 0 no; int64."""
MEANING = f"{SCORE}: how unlike the training images an image is; {FLAG}: 1 above ood_threshold, else 0"


def add_out_of_distribution(graph: Graph, features: Value, outputs: Value, ood: OutOfDistribution) -> list[Output]:
    """Adds the nodes from a network's pooled features and raw outputs to the score, and to whether it is too high.

    Args:
        graph: gets the nodes.
        features: pooled, float32, batch x features.
        outputs: raw, float32, batch x outputs.
        ood: the detector of the saved model.
    """
    width, axis = len(ood.mean), graph.constant([1])
    parts = graph.op("Reshape", features, graph.constant([-1, ood.blocks, width // ood.blocks]))
    lengths = graph.op("Max", graph.op("ReduceL2", parts, graph.constant([2])), graph.constant(1e-12))
    scaled = graph.op("Reshape", graph.op("Div", parts, lengths), graph.constant([-1, width]))
    centred = graph.op("Sub", scaled, graph.constant(ood.mean.numpy(), np.float32))
    inside = graph.op("MatMul", centred, graph.constant(ood.directions.numpy(), np.float32))
    squares = [graph.op("ReduceSumSquare", part, axis, keepdims=0) for part in (centred, inside)]
    outside = graph.op("Max", graph.op("Sub", *squares), graph.constant(0.0))
    weighted = graph.op("Mul", graph.op("Sqrt", outside), graph.constant(ood.distance_weight))
    score = graph.op("Add", weighted, graph.constant(ood.offset))
    if ood.logit_weight:
        greatest = graph.op("ReduceMax", outputs, axis, keepdims=0)
        score = graph.op("Sub", score, graph.op("Mul", greatest, graph.constant(ood.logit_weight)))
    is_above = graph.cast(graph.op("Greater", score, graph.constant(THRESHOLD)), np.int64)
    return [Output(SCORE, score, np.float32, ()), Output(FLAG, is_above, np.int64, ())]
