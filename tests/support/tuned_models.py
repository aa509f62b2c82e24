"""Model folders with made evaluations, for what needs no weights."""

from dataclasses import replace
from pathlib import Path

import torch

from eyebright._choices import EvaluatedPart
from eyebright.evaluation.evaluation import Evaluation
from eyebright.inference.manifest import Manifest
from eyebright.inference.save_folder import save_model
from eyebright.models.build import model_description
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.types import Thresholds

TARGET = MultiCategoryBlock(vocab=["cat", "dog", "rare"])


def evaluation(part: EvaluatedPart, n_images: int, seed: int, *, scale: float = 1.0) -> Evaluation:
    """Outputs, and targets that are drawn with their probabilities, or with those of larger outputs."""
    generator = torch.Generator().manual_seed(seed)
    outputs = 4 * torch.randn(n_images, 3, generator=generator) + torch.tensor([0.0, 1.0, -12.0])
    targets = (torch.rand(n_images, 3, generator=generator) < (scale * outputs).sigmoid()).float()
    targets[::10, 1] = torch.nan
    return Evaluation(
        Decision(TARGET).with_thresholds(Thresholds((0.5, 0.5, 0.5), metric="f1_macro")),
        outputs,
        targets,
        tuple(f"{part}{i:04}.jpg" for i in range(n_images)),
        Path("photos"),
        torch.tensor([[30, 40]] * n_images),
        part=part,
    )


def saved(folder: Path, *, held_out: bool = True, scale: float = 1.0, groups: bool = False) -> Path:
    """A model folder with evaluations, and weights that nothing here reads."""
    valid, promise = evaluation("valid", 300, 0, scale=scale), evaluation("promise", 400, 1, scale=scale)
    if groups:
        promise = replace(promise, groups=tuple(f"g{i // 2}" for i in range(len(promise))))
    manifest = Manifest(model_description("test_resnet", 3, size=32), valid.decision)
    out_of_fold = replace(evaluation("out_of_fold", 500, 2, scale=scale))
    state = {"weight": torch.arange(3.0)}
    return save_model(
        folder, manifest, state, evaluation=valid, held_out=[promise] if held_out else [], out_of_fold=out_of_fold
    )


def one_label(part: EvaluatedPart, n_images: int, seed: int) -> Evaluation:
    """Outputs for two classes, and a class that is drawn with their probabilities."""
    generator = torch.Generator().manual_seed(seed)
    outputs = 4 * torch.randn(n_images, 2, generator=generator)
    targets = torch.multinomial(outputs.softmax(dim=1), 1, generator=generator)[:, 0]
    return replace(
        evaluation(part, n_images, seed),
        decision=Decision(CategoryBlock(["cat", "dog"])),
        outputs=outputs,
        targets=targets,
    )
