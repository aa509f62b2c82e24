"""Defects of fastai in names, signatures and imports; row numbers refer to ``README.md`` in this folder."""

import inspect
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional

import eyebright
from eyebright import all as notebook, recipes
from eyebright.data.block import DataBlock
from eyebright.learner.learner import Learner
from eyebright.learner.not_taken import NOT_TAKEN
from eyebright.sources.split import RandomSplitter
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.image import ImageBlock
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import RandomResizedCrop, Resize
from support.gold import gold
from support.learners import small_learner, squares_block, squares_learner
from support.training import in_another_process


@pytest.fixture(scope="module")
def learner(folder: Path, table: pd.DataFrame) -> Learner:
    return squares_learner(folder, table)


def test_torch_losses_accept_the_outputs_and_targets_of_a_batch(folder: Path, table: pd.DataFrame) -> None:
    """Row 4: fastai's are subclasses of Tensor, and ``nn.BCEWithLogitsLoss()(learn.model(x), y)`` is a TypeError."""
    recorded = gold("g13_misc")
    assert recorded["type of learn.model(x) on a batch"] == "TensorImage"
    for name in ("F.cross_entropy(learn.model(x), y)", "nn.BCEWithLogitsLoss()(activs, TensorMultiCategory)"):
        assert recorded[name].startswith("TypeError: no implementation found")
    assert recorded["TensorImage + TensorCategory"].startswith("TypeError")
    learner = squares_learner(folder, table)
    x, y = learner.dls.one_batch()
    outputs = learner.model(x)
    assert type(x) is type(y) is type(outputs) is torch.Tensor
    assert torch.allclose(nn.BCEWithLogitsLoss()(outputs, y), learner.loss_func(outputs, y))

    block = squares_block(folder, blocks=(ImageBlock, CategoryBlock), get_y=lambda row: row["labels"] or "none")
    single = small_learner(block.dataloaders(table[~table["labels"].str.contains(" ")], bs=4))
    x, y = single.dls.one_batch()
    assert torch.isfinite(functional.cross_entropy(single.model(x), y))
    assert (x + y[:, None, None, None]).shape == x.shape


UNKNOWN_KEYWORDS: dict[str, tuple[Callable[[Learner, Any], Any], str]] = {
    "dataloaders": (lambda learn, data: squares_block(Path()).dataloaders(data, batch_sise=4), "batch_sise"),  # pyright: ignore[reportCallIssue]
    "DataBlock": (lambda learn, data: DataBlock(item_tfm=Resize(32)), "item_tfm'. Did you mean 'item_tfms'"),  # pyright: ignore[reportCallIssue]
    "new": (lambda learn, data: DataBlock().new(spliter=None), "spliter'. Did you mean 'splitter'"),
    "show_batch": (lambda learn, data: learn.dls.show_batch(nrow=1), "nrow'. Did you mean 'nrows'"),  # pyright: ignore[reportCallIssue]
    "vision_learner": (
        lambda learn, data: small_learner(learn.dls, loss_fn=None),
        "loss_fn'. Did you mean 'loss_func'",
    ),
    "fit": (lambda learn, data: learn.fit(1, cb=[]), "cb'. Did you mean 'cbs'"),  # pyright: ignore[reportCallIssue]
    "fit_one_cycle": (lambda learn, data: learn.fit_one_cycle(1, lr=1e-3), "lr'. It has: n_epoch, lr_max"),  # pyright: ignore[reportCallIssue]
    "fine_tune": (lambda learn, data: learn.fine_tune(1, lr_max=1e-3), "lr_max'. .*It has: epochs, base_lr"),  # pyright: ignore[reportCallIssue]
    "lr_find": (lambda learn, data: learn.lr_find(num_its=9), "num_its'. Did you mean 'num_it'"),  # pyright: ignore[reportCallIssue]
    "validate": (lambda learn, data: learn.validate(metric=None), "metric'. Did you mean 'metrics'"),  # pyright: ignore[reportCallIssue]
    "get_preds": (lambda learn, data: learn.get_preds(with_inputs=True), "with_inputs'. Did you mean 'with_input'"),  # pyright: ignore[reportCallIssue]
    "show_results": (lambda learn, data: learn.show_results(max=4), "max'. Did you mean 'max_n'"),  # pyright: ignore[reportCallIssue]
    "aug_transforms": (lambda learn, data: aug_transforms(max_rotat=5), "max_rotat'. Did you mean 'max_rotate'"),  # pyright: ignore[reportCallIssue]
    "Resize": (lambda learn, data: Resize(32, methd="pad"), "methd"),  # type: ignore[call-arg]
    "RandomResizedCrop": (lambda learn, data: RandomResizedCrop(32, minscale=0.3), "minscale"),  # type: ignore[call-arg]
    "RandomSplitter": (lambda learn, data: RandomSplitter(valid=0.3), "valid"),  # type: ignore[call-arg]
}


@pytest.mark.parametrize("name", UNKNOWN_KEYWORDS)
def test_unknown_keywords_are_type_errors(name: str, learner: Learner, table: pd.DataFrame) -> None:
    """Row 10: in fastai ``dataloaders(df, batch_sise=4)`` gives batches of 64."""
    call, message = UNKNOWN_KEYWORDS[name]
    with pytest.raises(TypeError, match=message):
        call(learner, table)


def public_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """All functions and methods in ``eyebright``, ``eyebright.all`` and ``eyebright.recipes``."""
    for module in (eyebright, notebook, recipes):
        for name in module.__all__:
            value = getattr(module, name)
            if name in NOT_TAKEN or not str(getattr(value, "__module__", "")).startswith("eyebright"):
                continue
            if not inspect.isclass(value):
                yield name, value
                continue
            for attribute, member in vars(value).items():
                function = getattr(member, "__func__", member)
                if inspect.isfunction(function) and not attribute.startswith("_"):
                    yield f"{name}.{attribute}", function


def test_all_public_functions_are_fully_annotated() -> None:
    """Row 24: in fastai none of the 30 parameters of ``vision_learner`` is annotated, and there is no ``py.typed``."""
    recorded = gold("g11_state")
    assert (recorded["annotations"]["vision_learner"]["annotated"], recorded["py.typed shipped?"]) == (0, False)
    functions = dict(public_functions())
    assert len(functions) > 100
    for name, function in functions.items():
        signature = inspect.signature(function)
        unannotated = [
            parameter.name
            for parameter in signature.parameters.values()
            if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls")
        ]
        assert unannotated == [], name
        assert signature.return_annotation is not signature.empty, name
        assert not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()) or name == "DataBlock.new", name
    assert (Path(eyebright.__file__).parent / "py.typed").is_file()


def test_the_methods_of_learner_are_defined_in_its_class() -> None:
    """Row 24: fastai patches 28 methods from other modules, where editors do not find them."""
    assert len(gold("g11_state")["Learner methods added by @patch in other modules"]) == 28
    for name, member in vars(Learner).items():
        if inspect.isfunction(member):
            assert (member.__module__, member.__qualname__) == ("eyebright.learner.learner", f"Learner.{name}")


def test_a_star_import_has_less_than_a_tenth_of_fastais_names() -> None:
    """Row 24: fastai's has 1,439 names, including internal helpers."""
    assert len(set(notebook.__all__) - set(NOT_TAKEN)) < 1439 / 10  # the others say what to use instead
    assert len(recipes.__all__) < 50


@pytest.mark.slow
def test_third_party_classes_are_not_patched() -> None:
    """Row 24: fastai adds methods to Pillow's images, tensors, paths and data frames."""
    assert {"Image.Image", "Path", "Tensor", "pd.DataFrame"} < set(
        gold("g11_state")["monkey-patched third-party classes"]
    )
    code = """
import pathlib, pandas, PIL.Image, torch
classes = PIL.Image.Image, torch.Tensor, pandas.DataFrame, pathlib.Path
before = [dict(vars(cls)) for cls in classes]
import eyebright.workflow.train_model
print([cls.__name__ for cls, attributes in zip(classes, before) if dict(vars(cls)) != attributes])
"""
    assert in_another_process("-W", "ignore", "-c", code).stdout == "[]\n"


def test_base_requirements_are_few_and_not_pinned() -> None:
    """Row 27: fastai installs spaCy, SciPy, scikit-learn and Matplotlib, and pins one package."""
    core = [one for one in metadata.requires("eyebright") or [] if "extra ==" not in one]
    assert core
    assert not [one for one in core if "==" in one]
    others = ("spacy", "scipy", "scikit-learn", "matplotlib", "fastcore")
    assert not [one for one in core if one.startswith(others)]
