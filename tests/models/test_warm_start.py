"""A model that starts from a saved one answers as it did, for the outputs that both have."""

from dataclasses import replace

import pytest
import torch

from eyebright.errors import InputError
from eyebright.models.build import ImageModel, ModelDescription, build_model, model_description
from eyebright.models.linear_head import use_linear_head
from eyebright.models.split_model import split_at_head
from eyebright.models.warm_start import warm_start
from eyebright.types import Size

ROWS = (2, None, 0, None)
IMAGES = torch.rand(3, 3, 32, 40, generator=torch.Generator().manual_seed(5))


def made(seed: int, n_out: int, **changes: object) -> ImageModel:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        description = replace(model_description("test_resnet", n_out, size=Size(32, 40)), **changes)
        return build_model(description)


@pytest.mark.parametrize(
    "changes",
    [{}, {"lin_ftrs": (), "first_bn": False}, {"lin_first": True}, {"bn_final": True}, {"y_range": (0.0, 2.0)}],
    ids=str,
)
def test_shared_outputs_are_those_of_the_saved_model_whatever_its_head(changes: dict[str, object]) -> None:
    saved = made(0, 3, **changes)
    with torch.no_grad():  # so that the batch norms have statistics of their own
        saved.train()(IMAGES)
    saved.eval()
    model = made(1, 4)
    warm_start(model, saved, ROWS)
    before, after = saved(IMAGES), model.eval()(IMAGES)
    assert after.shape == (3, 4)
    torch.testing.assert_close(after[:, [0, 2]], before[:, [2, 0]])
    assert model.description == replace(saved.description, n_out=4)
    assert build_model(ModelDescription.from_json(model.description.to_json())).head.state_dict().keys() == (
        model.head.state_dict().keys()
    )


def test_a_linear_head_keeps_its_outputs_and_new_ones_are_zero_without_an_initialisation() -> None:
    saved = made(0, 3)
    width = split_at_head(saved).feature_extractor(IMAGES).shape[1]
    use_linear_head(saved, torch.rand(3, width), torch.rand(3))
    model = made(1, 4)
    warm_start(model, saved.eval(), ROWS, init=None)
    after = model.eval()(IMAGES)
    torch.testing.assert_close(after[:, [0, 2]], saved(IMAGES)[:, [2, 0]])
    assert (after[:, [1, 3]] == 0).all()


def test_the_saved_model_stays_as_it_is() -> None:
    saved, model = made(0, 3).eval(), made(1, 3)
    before = {name: tensor.clone() for name, tensor in saved.state_dict().items()}
    warm_start(model, saved, (0, 1, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in saved.state_dict().items())


def test_normalisation_is_that_of_the_saved_model_and_the_size_is_the_own() -> None:
    saved = made(0, 3)
    description = replace(saved.description, input=replace(saved.description.input, mean=(0.1, 0.2, 0.3)))
    saved, model = ImageModel(saved.body, saved.head, description), made(1, 3)
    model.description = replace(model.description, input=replace(model.description.input, size=Size(64, 64)))
    warm_start(model, saved, (0, 1, 2))
    assert model.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert (model.description.input.mean, model.description.input.size) == ((0.1, 0.2, 0.3), Size(64, 64))


def test_another_backbone_is_refused_and_changes_nothing() -> None:
    saved = made(0, 3)
    with torch.random.fork_rng():
        other = build_model(model_description("resnet18", 3, size=Size(32, 40)))
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(InputError, match="the weights of test_resnet for images of 32x40 do not fit resnet18"):
        warm_start(other, saved, (0, 1, 2))
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())
