# ruff: noqa
# fmt: off
# A short form of chapter 6 of the fastai book. The lines after "# shows" are added and assert the expected outputs.
# %%
from eyebright.all import *
path = untar_data(URLs.PASCAL_2007)
# shows: data loaders without a data block, for common layouts
dls = ImageDataLoaders.from_csv(path, 'train.csv', folder='train', valid_col='is_valid', label_delim=' ',
                                item_tfms=Resize(128))
assert repr(dls.loss_func) == 'FlattenedLoss of BCEWithLogitsLoss()'
# %%
def binary_cross_entropy(inputs, targets):
    inputs = inputs.sigmoid()
    return -torch.where(targets==1, 1-inputs, inputs).log().mean()
# %%
learn = cnn_learner(dls, resnet50, metrics=partial(accuracy_multi, thresh=0.2))
learn.fine_tune(3, base_lr=3e-3, freeze_epochs=4)
# shows
assert learn.recorder.metric_names[:3] == ['epoch', 'train_loss', 'valid_loss']
# %%
learn = cnn_learner(dls, resnet18, y_range=(-1,1))
# shows
assert -1 <= learn.get_preds(act=lambda outputs: outputs)[0].min() <= 1
