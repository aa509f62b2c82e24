"""Methods of the book's later chapters: tta, save and load, other data, interpretation."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as sklearn

from eyebright.errors import ArtifactError, InputError
from eyebright.learner.interpretation import ClassificationInterpretation
from eyebright.learner.learner import Learner
from eyebright.learner.saved_learner import load_learner
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.train.lr_find import slide, valley
from eyebright.transforms.normalize import Normalize
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize
from support.learners import SQUARES, small_learner, squares_block


def made(folder: Path, table: pd.DataFrame, path: Path, kind: str, **options: object) -> Learner:
    dls = squares_block(folder, **SQUARES[kind]).dataloaders(table, path, bs=8, num_workers=0)
    return small_learner(dls, **options)


@pytest.fixture(scope="module")
def several(folder: Path, table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Learner:
    return made(folder, table, tmp_path_factory.mktemp("several"), "multicategory")


@pytest.fixture(scope="module")
def single(folder: Path, table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Learner:
    return made(folder, table, tmp_path_factory.mktemp("single"), "category")


def test_predictions_of_given_batches_are_those_of_the_loader(several: Learner) -> None:
    batches = list(several.dls.valid)
    preds, targets = several.get_preds(dl=batches)
    expected = several.get_preds()
    assert torch.allclose(preds, expected[0], atol=1e-5)
    assert torch.equal(targets, expected[1])
    x, y = several.dls.one_batch()
    preds, targets, decoded, losses = several.get_preds(dl=[(x, y)], with_decoded=True, with_loss=True)
    assert len(preds) == len(targets) == len(decoded) == len(losses) == len(x)
    assert several.get_preds(dl=[(x, None)])[1] is None


def test_batches_that_are_none_are_an_error(several: Learner) -> None:
    x, y = several.dls.one_batch()
    for wrong in ([x], [(x, y[:1])], [(x[0], y)]):
        with pytest.raises(InputError, match=r"`dl` must be a loader, or batches as from `dls.one_batch\(\)`"):
            several.get_preds(dl=wrong)
    for wrong in ([], [(x, y), (x, None)]):
        with pytest.raises(InputError, match="`dl` has no batch, or only some of its batches have targets"):
            several.get_preds(dl=wrong)


def test_tta_is_the_books_mean_of_augmented_and_plain_predictions(several: Learner) -> None:
    augmented, plain = several.tta(beta=None, n=3)[0]
    assert torch.equal(plain, several.get_preds()[0])
    assert not torch.allclose(augmented, plain, atol=1e-4)
    preds, targets = several.tta(n=3)
    assert torch.allclose(preds, 0.75 * augmented + 0.25 * plain)  # torch.lerp(aug_preds, preds, beta=.25)
    assert torch.equal(targets, several.get_preds()[1])
    views = [several.tta(beta=0.0, n=1)[0]]
    assert not torch.equal(views[0], augmented)
    assert (several.tta(n=3, use_max=True)[0] >= torch.maximum(plain, augmented) - 1e-6).all()
    same = several.tta(n=2, item_tfms=Resize(32))[0]  # without random transforms
    assert torch.allclose(same, several.get_preds()[0], atol=0.05)


def test_tta_refuses_points_and_numbers_out_of_range(folder: Path, table: pd.DataFrame, several: Learner) -> None:
    with pytest.raises(InputError, match="tta cannot average them: use get_preds"):
        made(folder, table, Path(), "points").tta()
    with pytest.raises(InputError, match="`n`, the number of augmented views, must be at least 1, got 0"):
        several.tta(n=0)
    with pytest.raises(InputError, match=r"`beta`, .* must be in \[0, 1\], got 2"):
        several.tta(beta=2)


def no_permission(_: Path) -> None:
    raise PermissionError(13, "Permission denied")


def test_saved_weights_come_back_all_or_none(single: Learner, several: Learner, tmp_path: Path) -> None:
    path = single.save("one")
    assert path == single.dls.path / "models" / "one.safetensors"
    before = single.validate()
    with torch.no_grad():
        next(single.model.head.parameters()).add_(1)
    assert single.validate() != before
    assert single.load("one") is single
    assert single.validate() == before
    (single.dls.path / "models" / "half.safetensors").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match=r"'.*half\.safetensors' is an incomplete or damaged file of weights"):
        single.load("half")
    with pytest.MonkeyPatch.context() as changes:
        changes.setattr("eyebright.learner.saved_weights.read_tensors", no_permission)
        with pytest.raises(ArtifactError, match=r"one\.safetensors' cannot be read: Permission denied"):
            single.load("one")
    with pytest.raises(ArtifactError, match=r"there are no saved weights '.*two\.safetensors': use learn.save"):
        single.load("two")
    with pytest.raises(ArtifactError, match="has the weights of another target"):
        several.load(path)
    with pytest.raises(InputError, match="'one.pth' is the name of a pickle"):
        single.save("one.pth")
    assert single.validate() == before


def test_weights_of_classes_in_another_order_are_refused(folder: Path, table: pd.DataFrame, several: Learner) -> None:
    path = several.save("order")
    names = list(reversed(several.dls.vocab))
    block = squares_block(folder, blocks=(ImageBlock, MultiCategoryBlock(vocab=names)))
    other = small_learner(block.dataloaders(table, bs=8, num_workers=0))
    with pytest.raises(ArtifactError, match="has the weights of another target"):
        other.load(path.resolve())
    with pytest.raises(InputError, match="give their block the fitted values of this one"):
        several.dls = other.dls


def test_other_data_train_the_same_model_at_another_size(folder: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    learner = made(folder, table, tmp_path, "multicategory")
    learner.fit(1, 1e-3)
    block = squares_block(folder).new(item_tfms=Resize(56), batch_tfms=aug_transforms(size=48))
    larger = block.dataloaders(table, tmp_path, bs=4, num_workers=0)
    before = learner.model.head[-1].weight.detach().clone()  # type: ignore[index,union-attr]
    learner.dls = larger
    assert learner.dls is larger
    assert learner.manifest().scores == {}  # the scores of the old data are not those of the new ones
    learner.fit(1, 1e-3)
    assert len(learner.run.losses) == len(larger.train)
    assert not torch.equal(before, learner.model.head[-1].weight)  # type: ignore[index,union-attr]
    saved = load_learner(learner.export("model"))
    assert saved.dls.vocab == larger.vocab
    assert saved.predictor.model.description.input.size == (48, 48)
    image = larger.valid_ds.image(0).path
    assert torch.allclose(saved.predict(image).activated, learner.get_preds()[0][0], atol=1e-4)


def test_data_of_another_normalisation_are_refused(folder: Path, table: pd.DataFrame, several: Learner) -> None:
    stats = Normalize((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    block = squares_block(folder).new(batch_tfms=[*aug_transforms(size=32), stats])
    with pytest.raises(InputError, match="leave Normalize out, or create a new learner"):
        several.dls = block.dataloaders(table, bs=8, num_workers=0)


def test_lr_find_unpacks_what_was_asked_for(several: Learner) -> None:
    found = several.lr_find(num_it=20, show_plot=False, suggest_funcs=(valley, slide))
    assert tuple(found) == (found.valley, found.slide)
    with pytest.raises(InputError, match="unknown suggestion"):
        several.lr_find(show_plot=False, suggest_funcs=max)


def test_the_confusion_matrix_of_one_class_equals_scikit_learn(single: Learner) -> None:
    interp = ClassificationInterpretation.from_learner(single)
    preds, targets = single.get_preds()
    expected = sklearn.confusion_matrix(targets, preds.argmax(1), labels=range(single.dls.c))
    assert interp.confusion_matrix().tolist() == expected.tolist()
    np.fill_diagonal(expected, 0)
    confused = interp.most_confused()
    assert sum(count for *_, count in confused) == expected.sum()
    assert [count for *_, count in confused] == sorted((count for *_, count in confused), reverse=True)
    for actual, predicted, count in confused:
        assert expected[single.dls.vocab.index(actual), single.dls.vocab.index(predicted)] == count
    assert interp.most_confused(min_val=10**6) == []


def test_several_labels_have_a_matrix_each(several: Learner, capsys: pytest.CaptureFixture[str]) -> None:
    interp = several.interpret()
    preds, targets = several.get_preds()
    expected = sklearn.multilabel_confusion_matrix(targets, preds > 0.5)
    assert interp.confusion_matrix().tolist() == expected.tolist()
    interp.print_classification_report()
    names = list(several.dls.vocab)
    assert (
        capsys.readouterr().out
        == sklearn.classification_report(targets, preds > 0.5, target_names=names, zero_division=0) + "\n"
    )


def test_top_losses_are_those_of_get_preds(several: Learner) -> None:
    losses = several.get_preds(with_loss=True)[-1]
    top = several.interpret().top_losses(3)
    assert torch.allclose(top.losses, losses.topk(3).values, atol=1e-5)
    assert top.indices.tolist() == losses.topk(3).indices.tolist()
    least = several.interpret().top_losses(2, largest=False)
    assert torch.allclose(least.losses, losses.topk(2, largest=False).values, atol=1e-5)


@pytest.mark.parametrize("kind", ["category", "multicategory", "ordinal", "points", "regression"])
def test_top_losses_and_matrices_can_be_drawn(folder: Path, table: pd.DataFrame, tmp_path: Path, kind: str) -> None:
    interp = made(folder, table, tmp_path, kind).interpret()
    interp.plot_top_losses(4, nrows=1)
    texts = [ax.get_title() for ax in plt.gcf().axes]
    assert len(texts) == 4
    assert f"{interp.top_losses(1).losses.item():.2f}" in texts[0]
    if kind in ("points", "regression"):
        with pytest.raises(InputError, match="only labels and classes can be confused, and the target is a"):
            interp.confusion_matrix()
    else:
        interp.plot_confusion_matrix(figsize=(6, 6), dpi=60, normalize=True)
        assert plt.gcf().dpi == 60
    plt.close("all")


def test_a_loader_shows_its_own_batch(several: Learner) -> None:
    several.dls.valid.show_batch(max_n=3, nrows=1)
    valid = [ax.get_title() for ax in plt.gcf().axes]
    target = several.dls.target
    assert valid == [target.text(several.dls.valid_ds.raw_target(i)) for i in range(3)]
    several.dls.train.show_batch(max_n=4, nrows=2, unique=True)
    assert len({ax.get_title() for ax in plt.gcf().axes}) == 1
    plt.close("all")


def test_the_learning_rates_can_be_plotted(several: Learner) -> None:
    several.fit_one_cycle(1, 1e-3)
    ax = several.recorder.plot_sched()
    assert ax.lines[0].get_ydata().tolist() == pytest.approx(several.recorder.lrs)
    plt.close("all")


def test_a_loader_without_images_is_not_answered_by_the_validation_set(several: Learner) -> None:
    empty = several.dls.test_dl([])
    for ask in (several.get_preds, several.tta):
        with pytest.raises(InputError, match="no image"):
            ask(dl=empty)
