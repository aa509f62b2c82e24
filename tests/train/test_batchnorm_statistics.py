"""Statistics of batch norms are those of the weights of now, and nothing else changes."""

import torch
from torch import nn

from eyebright.train.batchnorm_statistics import recompute_statistics
from eyebright.train.device import Device
from support.training import tiny_batches, tiny_model


def full_batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(tiny_batches(0))[:2]  # of 8 images each


def test_the_statistics_are_the_mean_over_the_batches_without_dropout() -> None:
    model = tiny_model()
    recompute_statistics(model.train(), full_batches(), Device("cpu", "float32"))
    seen = [model[0][0](x) for x, _ in full_batches()]
    mean = torch.stack([one.mean((0, 2, 3)) for one in seen]).mean(0)
    var = torch.stack([one.var((0, 2, 3)) for one in seen]).mean(0)
    assert torch.allclose(model[0][1].running_mean, mean, atol=1e-5)
    assert torch.allclose(model[0][1].running_var, var, atol=1e-5)


def test_the_previous_statistics_do_not_matter() -> None:
    first, second = tiny_model(), tiny_model()
    second[0][1].running_mean.fill_(100)
    for model in (first, second):
        recompute_statistics(model.train(), full_batches(), Device("cpu", "float32"))
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_weights_modes_momenta_and_frozen_norms_are_not_changed() -> None:
    model = tiny_model().train()
    model[0].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    recompute_statistics(model, full_batches(), Device("cpu", "float32"))
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"1.1.running_mean", "1.1.running_var", "1.1.num_batches_tracked"}
    assert [module.training for module in model.modules()] == modes
    assert {module.momentum for module in model.modules() if isinstance(module, nn.BatchNorm2d)} == {0.1}
