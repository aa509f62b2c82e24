"""The nodes of the out-of-distribution score compute what `OutOfDistribution.scores` does."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from eyebright.export.graph import OPSET, Graph
from eyebright.export.out_of_distribution_graph import add_out_of_distribution
from eyebright.export.parity import LIMIT, OodParity
from eyebright.inference.out_of_distribution import OutOfDistribution, fit_out_of_distribution

WIDTH = 24


def features(n: int, seed: int) -> Tensor:
    return torch.rand(n, WIDTH, generator=torch.Generator().manual_seed(seed))


def logits(n: int, seed: int) -> Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))


def outputs_of(ood: OutOfDistribution, given: Tensor, outputs: Tensor) -> list[Any]:
    graph = Graph()
    made = add_out_of_distribution(graph, "features", "outputs", ood)
    info, types = onnx.helper.make_tensor_value_info, onnx.helper.np_dtype_to_tensor_dtype
    proto = onnx.helper.make_graph(
        graph.nodes,
        "score",
        [info(name, onnx.TensorProto.FLOAT, ["batch", width]) for name, width in (("features", WIDTH), ("outputs", 3))],
        [info(one.value, types(np.dtype(one.dtype)), ["batch"]) for one in made],
        graph.constants,
    )
    model = onnx.helper.make_model(proto, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    session: Any = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"features": given.numpy(), "outputs": outputs.numpy()})


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("uses_logits", [True, False], ids=["labels", "points"])
def test_the_nodes_give_the_score_and_whether_it_is_too_high(blocks: int, uses_logits: bool) -> None:
    of_valid = logits(50, 1) if uses_logits else None
    ood = fit_out_of_distribution(features(60, 0), features(50, 1), of_valid, blocks=blocks)
    assert ood is not None
    new = torch.cat([features(50, 2), 5 * features(20, 3) ** 8, torch.zeros(1, WIDTH)])
    score, flag = outputs_of(ood, new, logits(71, 4))
    expected = ood.scores(new, logits(71, 4))
    np.testing.assert_allclose(score, expected.numpy(), rtol=1e-5, atol=1e-5)
    is_far = (expected - 1).abs() > LIMIT
    assert (flag == (expected > 1).numpy())[is_far.numpy()].all()
    assert set(flag.tolist()) == {0, 1}


def test_an_image_of_the_mean_has_a_distance_of_zero() -> None:
    ood = OutOfDistribution(torch.zeros(WIDTH), torch.eye(WIDTH)[:, :2], 1, 2.0, 0.0, -0.5, 10, 10)
    inside = torch.zeros(1, WIDTH)
    inside[0, 0] = 3.0
    score, flag = outputs_of(ood, inside, logits(1, 0))
    assert (score.tolist(), flag.tolist()) == ([-0.5], [0])


def test_the_parity_counts_images_that_change_sides_and_those_near_the_threshold() -> None:
    parity = OodParity()
    for score, found, is_above in ((0.2, 0.2, False), (1.00005, 0.99999, False), (4.0, 4.0002, True)):
        parity = parity.with_image(score, found, is_above=is_above)
    assert (parity.near, parity.changed, parity.changed_far) == (1, 1, 0)
    assert parity.difference == pytest.approx(6e-5, rel=0.01)
    assert parity.is_kept
    assert not parity.with_image(0.5, 1.5, is_above=True).is_kept
    assert not parity.with_image(0.5, float("nan"), is_above=False).is_kept
