"""Names of fastai that Eyebright does not have: using one raises an error that states the replacement.

They are the names that chapters 1, 2, 5, 6 and 7 of the fastai book and the vision tutorials of fastai's documentation
call.
"""

from typing import Any, NoReturn, final

from eyebright.errors import InputError

_OTHER_DATA_REASON = "Eyebright is only for images: use fastai for text, tables and recommendations"
_MASKS = (
    "Eyebright has no masks and boxes: use labels, points or numbers, or torchvision for segmentation and detection"
)
_OBSERVER = (
    "give a function of an event in `cbs`, see eyebright.train.events, or write your own loop, see eyebright.train.loop"
)
_ONE_CLASS = (
    "use accuracy or error_rate; ClassificationInterpretation.from_learner(learn).print_classification_report() has the"
    " scores of each class"
)
_TENSORS = "batches are plain tensors, whose meaning is known by the blocks of the data"
_TRANSFORM = "use the transforms of eyebright.all or any of torchvision's in item_tfms and batch_tfms"
_SEARCH = "search with a package of your choice, such as ddgs, and give the URLs to download_images(dest, urls=...)"
_OPTIMIZER = "use options=FitOptions(optimizer='adamw' or 'sgd') of vision_learner"
_MODEL = "use vision_learner, which takes any timm architecture by its name"
_XRESNET = "timm calls it resnet50d and so on: vision_learner(dls, 'resnet50d', pretrained=False)"

NOT_TAKEN: dict[str, str] = {
    "ActivationStats": _OBSERVER,
    "Adam": _OPTIMIZER,
    "BBoxBlock": _MASKS,
    "BBoxLblBlock": _MASKS,
    "BalancedAccuracy": _ONE_CLASS,
    "Brightness": "use aug_transforms(max_lighting=...)",
    "Callback": _OBSERVER,
    "CollabDataLoaders": _OTHER_DATA_REASON,
    "Contrast": "use aug_transforms(max_lighting=...)",
    "CropPad": "use Resize(size, method='crop') or Resize(size, method='pad')",
    "Dice": _MASKS,
    "DiceMulti": _MASKS,
    "F1Score": _ONE_CLASS,
    "FBeta": _ONE_CLASS,
    "FBetaMulti": "use F1ScoreMulti, PrecisionMulti and RecallMulti",
    "FlipItem": "use Flip",
    "FocalLoss": "use options=FitOptions(balance='pos_weight' or 'effective_number') for rare classes",
    "FocalLossFlat": "use options=FitOptions(balance='pos_weight' or 'effective_number') for rare classes",
    "ImageClassifierCleaner": (
        "ClassificationInterpretation.from_learner(learn) shows the greatest losses with plot_top_losses(9), and names"
        " their images with top_losses(9) and files"
    ),
    "IntToFloatTensor": _TENSORS,
    "ItemTransform": _TRANSFORM,
    "JaccardCoeff": _MASKS,
    "JaccardMulti": "use F1ScoreMulti",
    "L1LossFlat": "use loss_func=torch.nn.functional.l1_loss",
    "LinReg": _OTHER_DATA_REASON,
    "MaskBlock": _MASKS,
    "MatthewsCorrCoef": _ONE_CLASS,
    "MixedPrecision": "use learn.to_fp16(), or the faster precision, which is chosen by default",
    "ModelResetter": _OTHER_DATA_REASON,
    "OptimWrapper": _OPTIMIZER,
    "PILImageBW": "images are RGB; a grey image is read as one",
    "PILMask": _MASKS,
    "Pipeline": _TRANSFORM,
    "PointScaler": "PointBlock scales its points itself",
    "Precision": _ONE_CLASS,
    "ProgressCallback": "use progress='bar', 'lines', 'notebook' or 'quiet' of vision_learner",
    "RMSProp": _OPTIMIZER,
    "RandTransform": _TRANSFORM,
    "RandomErasing": "use torchvision's v2.RandomErasing in batch_tfms, or the callback CutMix",
    "RatioResize": "use Resize((height, width))",
    "Recall": _ONE_CLASS,
    "Recorder": "learn.recorder is one",
    "ReduceLROnPlateau": "use fit_one_cycle or fit_flat_cos, whose learning rates fall to the end",
    "RocAuc": _ONE_CLASS,
    "SGD": _OPTIMIZER,
    "SegmentationDataLoaders": _MASKS,
    "ShowGraphCallback": "call learn.recorder.plot_loss() after the fit",
    "SuggestionMethod": "use lr_find(suggest_funcs=(minimum, steep, valley, slide))",
    "TabularDataLoaders": _OTHER_DATA_REASON,
    "TensorBase": _TENSORS,
    "TensorCategory": _TENSORS,
    "TensorImage": _TENSORS,
    "TensorMask": _MASKS,
    "TensorMultiCategory": _TENSORS,
    "TensorPoint": _TENSORS,
    "TerminateOnNaNCallback": "training stops automatically before a loss that is not finite reaches the weights",
    "TextDataLoaders": _OTHER_DATA_REASON,
    "TfmdLists": "use DataBlock.datasets, or DataBlock.dataloaders",
    "ToTensor": _TENSORS,
    "Transform": _TRANSFORM,
    "TransformBlock": "use ImageBlock and a target block, or DataBlock() without blocks",
    "Warp": "use PerspectiveWarp, or aug_transforms(max_warp=...)",
    "XResNet": _XRESNET,
    "accuracy_thresh_expand": "use accuracy_multi",
    "create_body": _MODEL,
    "create_head": "use the arguments lin_ftrs, ps, concat_pool, ... of vision_learner",
    "create_vision_model": _MODEL,
    "default_device": "give device='cuda' or 'cpu' to DataBlock.dataloaders; a GPU is used by default",
    "foreground_acc": _MASKS,
    "language_model_learner": _OTHER_DATA_REASON,
    "search_images_bing": _SEARCH,
    "search_images_ddg": _SEARCH,
    "set_seed": "give seed= to a splitter, to DataBlock.dataloaders and to vision_learner; no global generator is used",
    "show_image": "use plt.imshow, dls.show_batch or learn.show_results",
    "show_images": "use plt.subplots and plt.imshow, dls.show_batch or learn.show_results",
    "tabular_learner": _OTHER_DATA_REASON,
    "text_classifier_learner": _OTHER_DATA_REASON,
    "top_k_accuracy": "write it as a function of logits and targets, and give it in metrics",
    "unet_learner": _MASKS,
    "widgets": "use the package ipywidgets; PILImage.create takes the bytes of an upload",
    "xresnet101": _XRESNET,
    "xresnet18": _XRESNET,
    "xresnet34": _XRESNET,
    "xresnet50": _XRESNET,
}
"""The replacement of each name."""


@final
class NotTaken:
    """A name of fastai that Eyebright does not have: each use of it raises an `InputError` that states the replacement.

    Args:
        name: the name.
        instead: the replacement.
    """

    def __init__(self, name: str, instead: str) -> None:
        self.__name__ = name
        self._message = f"{name} is not part of Eyebright: {instead}"

    def __repr__(self) -> str:
        return self._message

    def __call__(self, *args: Any, **keywords: Any) -> NoReturn:
        """Raises the error with the replacement."""
        raise InputError(self._message)

    def __getattr__(self, attribute: str) -> NoReturn:
        if attribute.startswith("_"):  # Python and notebooks ask every object for such names
            raise AttributeError(attribute)
        raise InputError(self._message)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> NoReturn:
        """Raises the error with the replacement, for a class that would inherit from it."""
        raise InputError(self._message)

    def __iter__(self) -> NoReturn:
        raise InputError(self._message)
