"""Train, evaluate and use image models: any number of labels per image, one label, points, numbers or ratings.

The public names are imported from their modules when they are first used, so `import eyebright` alone loads no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from eyebright import _deprecate
from eyebright._version import __version__ as __version__

if TYPE_CHECKING:  # the same names for type checkers and editors; a test compares them with the table below
    from eyebright.data.block import DataBlock as DataBlock
    from eyebright.data.dataloaders import DataLoaders as DataLoaders
    from eyebright.data.getters import (
        ColReader as ColReader,
        RegexLabeller as RegexLabeller,
        parent_label as parent_label,
        using_attr as using_attr,
    )
    from eyebright.data.image_dataloaders import ImageDataLoaders as ImageDataLoaders
    from eyebright.errors import EyebrightError as EyebrightError
    from eyebright.evaluation.calibrate import fit_calibration as fit_calibration
    from eyebright.evaluation.compare import Comparison as Comparison, compare as compare
    from eyebright.evaluation.conformal import fit_sets as fit_sets
    from eyebright.evaluation.confusions import LabelConfusion as LabelConfusion, label_confusions as label_confusions
    from eyebright.evaluation.decide import fit_decision as fit_decision
    from eyebright.evaluation.evaluation import Evaluation as Evaluation
    from eyebright.evaluation.metric_intervals import (
        MetricInterval as MetricInterval,
        metric_intervals as metric_intervals,
    )
    from eyebright.evaluation.next_action import NextAction as NextAction, next_action as next_action
    from eyebright.evaluation.promise import Promise as Promise, parse_promise as parse_promise
    from eyebright.evaluation.promises import PromiseResult as PromiseResult, keep_promise as keep_promise
    from eyebright.evaluation.slices import Slice as Slice, find_slices as find_slices
    from eyebright.evaluation.suspects import Suspect as Suspect, find_suspects as find_suspects
    from eyebright.evaluation.teaching_order import teaching_order as teaching_order
    from eyebright.evaluation.three_way import (
        AbstentionCurve as AbstentionCurve,
        abstention_curves as abstention_curves,
    )
    from eyebright.evaluation.weak_segments import WeakSegment as WeakSegment, find_weak_segments as find_weak_segments
    from eyebright.export.export_onnx import export_onnx_files as export_onnx_files
    from eyebright.export.export_openvino import export_openvino_files as export_openvino_files
    from eyebright.export.export_torch import export_torch_file as export_torch_file
    from eyebright.export.page import export_page as export_page
    from eyebright.export.record import check_export as check_export, read_export as read_export
    from eyebright.image.image import Image as Image, Picture as Picture
    from eyebright.inference.heat_maps import HeatMap as HeatMap
    from eyebright.inference.load_predictor import load_predictor as load_predictor, save_onnx as save_onnx
    from eyebright.inference.model_folder import load_evaluation as load_evaluation
    from eyebright.inference.predictor import Predictor as Predictor
    from eyebright.io.download import URLs as URLs, untar_data as untar_data
    from eyebright.io.files import get_image_files as get_image_files
    from eyebright.learner.fine_tuned import FineTuned as FineTuned
    from eyebright.learner.learner import Learner as Learner
    from eyebright.learner.saved_learner import load_learner as load_learner
    from eyebright.learner.stop_at import StopAt as StopAt
    from eyebright.learner.vision_learner import vision_learner as vision_learner
    from eyebright.metrics.labels import (
        accuracy as accuracy,
        accuracy_multi as accuracy_multi,
        error_rate as error_rate,
    )
    from eyebright.metrics.meter import Metric as Metric
    from eyebright.sources.read import read_source as read_source
    from eyebright.sources.source import Source as Source
    from eyebright.sources.source_split import split_source as split_source
    from eyebright.sources.split import (
        ColSplitter as ColSplitter,
        EndSplitter as EndSplitter,
        FuncSplitter as FuncSplitter,
        GrandparentSplitter as GrandparentSplitter,
        IndexSplitter as IndexSplitter,
        LabelSplitter as LabelSplitter,
        MaskSplitter as MaskSplitter,
        RandomSplitter as RandomSplitter,
    )
    from eyebright.tasks.category import CategoryBlock as CategoryBlock
    from eyebright.tasks.decision import Decision as Decision
    from eyebright.tasks.image import ImageBlock as ImageBlock
    from eyebright.tasks.multicategory import MultiCategoryBlock as MultiCategoryBlock
    from eyebright.tasks.ordinal import OrdinalBlock as OrdinalBlock
    from eyebright.tasks.points import PointBlock as PointBlock
    from eyebright.tasks.prediction_sets import PredictionSets as PredictionSets
    from eyebright.tasks.regression import RegressionBlock as RegressionBlock
    from eyebright.train.options import FitOptions as FitOptions
    from eyebright.transforms.normalize import Normalize as Normalize, imagenet_stats as imagenet_stats
    from eyebright.transforms.presets import aug_transforms as aug_transforms
    from eyebright.transforms.spatial import RandomResizedCrop as RandomResizedCrop, Resize as Resize
    from eyebright.types import LabelSet as LabelSet, Points as Points, Size as Size, Thresholds as Thresholds
    from eyebright.workflow.check import Check as Check, check_source as check_source
    from eyebright.workflow.evaluate import evaluate_model as evaluate_model
    from eyebright.workflow.options import TrainOptions as TrainOptions
    from eyebright.workflow.push import push_to_hub as push_to_hub
    from eyebright.workflow.train_model import train_model as train_model

_PUBLIC: dict[str, tuple[str, ...]] = {
    "eyebright.data.block": ("DataBlock",),
    "eyebright.data.dataloaders": ("DataLoaders",),
    "eyebright.data.getters": ("ColReader", "RegexLabeller", "parent_label", "using_attr"),
    "eyebright.data.image_dataloaders": ("ImageDataLoaders",),
    "eyebright.errors": ("EyebrightError",),
    "eyebright.evaluation.calibrate": ("fit_calibration",),
    "eyebright.evaluation.compare": ("Comparison", "compare"),
    "eyebright.evaluation.conformal": ("fit_sets",),
    "eyebright.evaluation.confusions": ("LabelConfusion", "label_confusions"),
    "eyebright.evaluation.decide": ("fit_decision",),
    "eyebright.evaluation.evaluation": ("Evaluation",),
    "eyebright.evaluation.metric_intervals": ("MetricInterval", "metric_intervals"),
    "eyebright.evaluation.next_action": ("NextAction", "next_action"),
    "eyebright.evaluation.promise": ("Promise", "parse_promise"),
    "eyebright.evaluation.promises": ("PromiseResult", "keep_promise"),
    "eyebright.evaluation.slices": ("Slice", "find_slices"),
    "eyebright.evaluation.suspects": ("Suspect", "find_suspects"),
    "eyebright.evaluation.teaching_order": ("teaching_order",),
    "eyebright.evaluation.three_way": ("AbstentionCurve", "abstention_curves"),
    "eyebright.evaluation.weak_segments": ("WeakSegment", "find_weak_segments"),
    "eyebright.export.export_onnx": ("export_onnx_files",),
    "eyebright.export.export_openvino": ("export_openvino_files",),
    "eyebright.export.export_torch": ("export_torch_file",),
    "eyebright.export.page": ("export_page",),
    "eyebright.export.record": ("check_export", "read_export"),
    "eyebright.image.image": ("Image", "Picture"),
    "eyebright.inference.heat_maps": ("HeatMap",),
    "eyebright.inference.load_predictor": ("load_predictor", "save_onnx"),
    "eyebright.inference.model_folder": ("load_evaluation",),
    "eyebright.inference.predictor": ("Predictor",),
    "eyebright.io.download": ("URLs", "untar_data"),
    "eyebright.io.files": ("get_image_files",),
    "eyebright.learner.fine_tuned": ("FineTuned",),
    "eyebright.learner.learner": ("Learner",),
    "eyebright.learner.saved_learner": ("load_learner",),
    "eyebright.learner.stop_at": ("StopAt",),
    "eyebright.learner.vision_learner": ("vision_learner",),
    "eyebright.metrics.labels": ("accuracy", "accuracy_multi", "error_rate"),
    "eyebright.metrics.meter": ("Metric",),
    "eyebright.sources.read": ("read_source",),
    "eyebright.sources.source": ("Source",),
    "eyebright.sources.source_split": ("split_source",),
    "eyebright.sources.split": (
        "ColSplitter",
        "EndSplitter",
        "FuncSplitter",
        "GrandparentSplitter",
        "IndexSplitter",
        "LabelSplitter",
        "MaskSplitter",
        "RandomSplitter",
    ),
    "eyebright.tasks.category": ("CategoryBlock",),
    "eyebright.tasks.decision": ("Decision",),
    "eyebright.tasks.image": ("ImageBlock",),
    "eyebright.tasks.prediction_sets": ("PredictionSets",),
    "eyebright.tasks.multicategory": ("MultiCategoryBlock",),
    "eyebright.tasks.ordinal": ("OrdinalBlock",),
    "eyebright.tasks.points": ("PointBlock",),
    "eyebright.tasks.regression": ("RegressionBlock",),
    "eyebright.train.options": ("FitOptions",),
    "eyebright.transforms.normalize": ("Normalize", "imagenet_stats"),
    "eyebright.transforms.presets": ("aug_transforms",),
    "eyebright.transforms.spatial": ("RandomResizedCrop", "Resize"),
    "eyebright.types": ("LabelSet", "Points", "Size", "Thresholds"),
    "eyebright.workflow.check": ("Check", "check_source"),
    "eyebright.workflow.evaluate": ("evaluate_model",),
    "eyebright.workflow.options": ("TrainOptions",),
    "eyebright.workflow.push": ("push_to_hub",),
    "eyebright.workflow.train_model": ("train_model",),
}
"""The public names of each module."""

_FORMER = {
    "AskingCurve": "AbstentionCurve",
    "LabelSets": "PredictionSets",
    "Options": "TrainOptions",
    "TrainingOptions": "FitOptions",
    "asking_curves": "abstention_curves",
}
"""Names that the package has had, and those of today; they work and warn."""

_MODULE_OF = dict(sorted((name, module) for module, names in _PUBLIC.items() for name in names))

# A star import must not hide Pillow's Image, which many scripts have imported before it.
__all__ = [name for name in _MODULE_OF if name != "Image"]  # pyright: ignore[reportUnsupportedDunderAll]

if not TYPE_CHECKING:  # a type checker that saw this function would accept any name

    def __getattr__(name: str) -> Any:
        if name in _FORMER:
            _deprecate.warn_renamed(f"eyebright.{name}", _FORMER[name])
            return getattr(importlib.import_module(__name__), _FORMER[name])
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'eyebright' has no attribute '{name}'")
        value = getattr(importlib.import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
