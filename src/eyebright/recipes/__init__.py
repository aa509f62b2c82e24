"""The names in the multi-label notebook of Microsoft's Computer Vision Recipes (``from eyebright.recipes import *``).

The functions return the values that the recipes document, even if these are wrong; the docstrings describe the defects
and name the correct alternative. New notebooks should use `eyebright.all`.
"""

from eyebright.all import Path, imagenet_stats, math, models, nn, np, partial, pd, plt, tensor, torch
from eyebright.recipes.data_bunch import ImageDataBunch
from eyebright.recipes.image_list import ImageList
from eyebright.recipes.learning import cnn_learner
from eyebright.recipes.machine import db_num_workers, set_random_seed, which_processor
from eyebright.recipes.scores import get_optimal_threshold, hamming_accuracy, plot_thresholds, zero_one_accuracy
from eyebright.recipes.sets import LabelColumnNotFound, LabelCsvNotFound, Urls, is_data_multilabel, unzip_url
from eyebright.recipes.train_metrics import TrainMetricsRecorder

__all__ = [
    "ImageDataBunch",
    "ImageList",
    "LabelColumnNotFound",
    "LabelCsvNotFound",
    "Path",
    "TrainMetricsRecorder",
    "Urls",
    "cnn_learner",
    "db_num_workers",
    "get_optimal_threshold",
    "hamming_accuracy",
    "imagenet_stats",
    "is_data_multilabel",
    "math",
    "models",
    "nn",
    "np",
    "partial",
    "pd",
    "plot_thresholds",
    "plt",
    "set_random_seed",
    "tensor",
    "torch",
    "unzip_url",
    "which_processor",
    "zero_one_accuracy",
]
