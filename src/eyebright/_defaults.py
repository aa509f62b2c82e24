"""Default values that functions and the command line share.

The signatures of functions and the options of the commands (`eyebright.workflow.options`) use these constants.
Importing this module does not import torch, so ``eyebright --help`` can show the defaults quickly.
"""

from typing import Final

BATCH_SIZE: Final = 32
"""The largest default batch size of training from the command line, and the batch size of predictions."""
BASE_LR: Final = 2e-3
"""The peak learning rate of the head while the backbone is frozen, as in fastai's ``fine_tune``."""
LR_MULT: Final = 100.0
"""How many times smaller the first layers' learning rate is than the head's, as in fastai's ``fine_tune``."""
EPOCHS: Final = 5
"""Epochs in which all layers train, of the command line."""
ARCH: Final = "tf_efficientnet_lite0"
"""The backbone, of the command line."""
IMAGE_SIZE: Final = 224
"""Height and width of what the model sees in pixels, of the command line."""
IMAGE_SIZES: Final = (288, 224, 192, 160, 128)
"""The sizes of which a training run with ``minutes`` takes the largest that fits into the time, in pixels.

288 is 1.29 times the 224 pixels of pretraining; a network does best with test images that are larger than its training
images by about as much (Touvron et al., 2019, arXiv:1906.06423).
"""
FREEZE_EPOCHS: Final = 1
"""Epochs with a frozen backbone, as in fastai's ``fine_tune``."""
LP_FT_LR: Final = 3e-4
"""The peak learning rate of a fitted head that is fine-tuned with all layers."""
LP_FT_LR_MULT: Final = 1.0
"""How many times smaller the first layers' learning rate is than that of a fitted head."""
DROPOUT: Final = 0.5
"""Dropout of the head, as in fastai's ``vision_learner``."""
WISE_FT: Final = ((1, 1), (1, 3), (2, 3))
"""The shares of the fine-tuned weights that are tried (WiSE-FT), as (numerator, denominator).

Of equally good ones the first is taken. Each between 0 and 1 costs a pass over the validation images.
"""
VALID_PCT: Final = 0.2
"""The share of the images that a random split puts into the validation set, as in fastai's splitters."""
TEST_PCT: Final = 0.1
"""The share of the images that ``eyebright split`` puts into the test set."""
PROMISE_PCT: Final = 0.1
"""The share of the images that ``eyebright split`` keeps for promises, from `PROMISE_FROM` images up."""
PROMISE_FROM: Final = 2000
"""The number of images from which some are kept for promises."""
THRESHOLD_METRIC: Final = "f1_macro"
"""The metric that thresholds are tuned for."""
FOLDS: Final = 5
"""The number of folds of cross-fitted scores and of out-of-fold predictions."""
WEIGHT_DECAY: Final = 0.01
"""The weight decay of training, as fastai's learners have it."""
TRAINING_PRECISION: Final = "auto"
"""The precision of training: the one that is faster as measured, of float32 and a shorter one."""
PREDICTION_PRECISION: Final = "float32"
"""The precision of a prediction."""
EXPORT_PRECISION: Final = "float32"
"""The precision of an exported graph."""
PROGRESS: Final = "auto"
"""How progress is shown: a notebook's way, a bar on a terminal, or lines."""
MAX_WORKERS: Final = 16
"""The workers that read images, at most, if their number is not given."""
CONFIDENCE: Final = 0.95
"""The confidence level of intervals and of promises."""
SIGNIFICANCE: Final = 0.05
"""The corrected p-value up to which a difference is reported."""
RESAMPLES: Final = 1000
"""The resamples of a bootstrap."""
EXPORT_IMAGES: Final = 200
"""Validation images on which an exported model is compared with Python, at most."""
CALIBRATION_IMAGES: Final = 200
"""Images whose activations give the ranges of an int8 graph, at most."""
