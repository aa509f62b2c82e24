"""A plain PyTorch loop in the race: ``python -m peers.race_plain STEP FOLDER``.

In the way of torchvision's references/classification: its presets of transforms, its loader (two new workers in each
epoch), AdamW, warm-up and a cosine schedule, an evaluation and a checkpoint after each epoch. Unlike there the schedule
advances with each batch, because their warm-up by epochs would waste the first epoch of a short training. Points, which
the references do not cover, are regressed from whole images, as the sigmoid of the outputs.
"""

import math

import PIL.Image
import timm
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from peers.race_protocol import LabelledImage, Run, run_step

LR, WEIGHT_DECAY, WARM_UP = 1e-3, 1e-2, 0.1  # the last as a share of all batches
WORKERS = 2
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BILINEAR = v2.InterpolationMode.BILINEAR


class Images(Dataset[tuple[Tensor, Tensor]]):
    """Transformed images and targets; points as fractions of the image's width and height."""

    def __init__(self, run: Run, images: list[LabelledImage], transform: v2.Compose) -> None:
        self.paths = [image["path"] for image in images]
        self.targets = torch.tensor(run.targets(images)) if images and "target" in images[0] else None
        self.transform, self.points = transform, run.kind == "points"

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        image = PIL.Image.open(self.paths[i]).convert("RGB")
        target = torch.empty(0) if self.targets is None else self.targets[i]
        if self.points and self.targets is not None:
            target = (target / torch.tensor(image.size)).flatten()
        return self.transform(image), target


def train(run: Run) -> None:
    """Writes ``model.pth``."""
    torch.manual_seed(run.seed)
    epochs = 10 if run.epochs is None else run.epochs
    model = create_model(run, pretrained=True)
    training, validation = transforms(run)
    batches = DataLoader(Images(run, run.train, training), run.bs, shuffle=True, num_workers=WORKERS)
    valid = DataLoader(Images(run, run.valid, validation), run.bs, num_workers=WORKERS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    schedule = LambdaLR(optimizer, lambda step: rate(step, epochs * len(batches)))
    criterion = LOSSES[run.kind]
    for _ in range(epochs):
        model.train()
        for x, target in batches:
            loss = criterion(model(x.to(DEVICE)), target.to(DEVICE))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            loss.item()  # the references log it
        model.eval()
        with torch.inference_mode():
            sum(criterion(model(x.to(DEVICE)), target.to(DEVICE)).item() for x, target in valid)
        torch.save(model.state_dict(), run.path("model.pth"))


def predict(run: Run) -> None:
    """Writes the probabilities of each held-out image, or its points in pixels."""
    model = create_model(run, pretrained=False)
    model.load_state_dict(torch.load(run.path("model.pth"), map_location=DEVICE, weights_only=True))
    model.eval()
    images: list[LabelledImage] = [{"path": path} for path in run.held_out]  # pyright: ignore[reportAssignmentType]
    batches = DataLoader(Images(run, images, transforms(run)[1]), run.bs, num_workers=WORKERS)
    with torch.inference_mode():
        outputs = torch.cat([model(x.to(DEVICE)).cpu() for x, _ in batches])
    if run.kind == "points":
        sizes = torch.tensor([PIL.Image.open(path).size for path in run.held_out])
        run.save_predictions(outputs.sigmoid().view(len(sizes), -1, 2) * sizes[:, None])
    else:
        run.save_predictions(outputs.softmax(1) if run.kind == "single" else outputs.sigmoid())


def rate(step: int, steps: int) -> float:
    """The learning rate of a batch, relative to the highest: linear warm-up, then half a cosine to 0."""
    warm_up = max(1, round(WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def create_model(run: Run, *, pretrained: bool) -> nn.Module:
    """The model with an output per name, or two per point."""
    outputs = len(run.names) * (2 if run.kind == "points" else 1)
    return timm.create_model(run.arch, pretrained=pretrained, num_classes=outputs).to(DEVICE)


def transforms(run: Run) -> tuple[v2.Compose, v2.Compose]:
    """Those of ClassificationPresetTrain and ClassificationPresetEval with the model's mean and std."""
    cfg = timm.get_pretrained_cfg(run.arch)
    assert cfg is not None
    tensor = [v2.PILToTensor(), v2.ToDtype(torch.float, scale=True), v2.Normalize(cfg.mean, cfg.std)]
    if run.kind == "points":
        whole = v2.Resize(run.size, interpolation=BILINEAR, antialias=True)
        return v2.Compose([whole, v2.ColorJitter(0.2, 0.2), *tensor]), v2.Compose([whole, *tensor])
    crop = v2.RandomResizedCrop(run.size, interpolation=BILINEAR, antialias=True)
    resize = v2.Resize(run.presize, interpolation=BILINEAR, antialias=True)
    return (
        v2.Compose([crop, v2.RandomHorizontalFlip(), *tensor]),
        v2.Compose([resize, v2.CenterCrop(run.size), *tensor]),
    )


LOSSES = {
    "multi": nn.BCEWithLogitsLoss(),
    "single": nn.CrossEntropyLoss(),
    "points": lambda outputs, target: nn.functional.mse_loss(outputs.sigmoid(), target),
}

if __name__ == "__main__":
    run_step(train=train, predict=predict)
