# ruff: noqa
# fmt: off
# Chapter 5 of the fastai book: pet breeds. The cells of the document in order; the lines after "# shows" are added and
# assert the outputs in the document.
# %%
from eyebright.all import *
path = untar_data(URLs.PETS)
# %%
dblock = DataBlock(blocks=(ImageBlock, CategoryBlock), 
                   get_items=get_image_files, 
                   get_y=using_attr(RegexLabeller(r'(.+)_\d+.jpg$'), 'name'),
                   splitter=RandomSplitter(seed=42),   
                   item_tfms=Resize(460), 
                   batch_tfms=aug_transforms(size=224, min_scale=.75))
# %%
dblock.summary(path/'images')
# %%
dls = dblock.dataloaders(path/'images')
# shows
files = get_image_files(path/'images')
assert [len(dls.valid_ds), len(dls.train_ds)] == [int(.2 * len(files)), len(files) - int(.2 * len(files))]
# %%
dls.show_batch()
# %%
dls.show_batch(unique=True)
# shows
assert len({ax.get_title() for ax in plt.gcf().axes if ax.get_title()}) == 1
# %%
learn = cnn_learner(dls, resnet34, metrics=error_rate)
# %%
lr_min, lr_steep = learn.lr_find()
# shows
found = learn.lr_find(num_it=30)
assert (found.minimum, found.steep) == tuple(found) and found.valley > 0 and found.slide > 0
# %%
learn.fine_tune(2, base_lr=1e-2)
# shows
assert learn.recorder.metric_names == ['epoch', 'train_loss', 'valid_loss', 'error_rate', 'time']
# %%
learn = cnn_learner(dls, resnet34, metrics=error_rate)
lr_min, lr_steep = learn.lr_find()
# %%
learn.fit_one_cycle(2, lr_max=1e-2)
# %%
learn.summary()
# shows
text = str(learn.summary())
assert 'Layer (type)         Output Shape         Param #    Trainable' in text
assert 'Loss function: FlattenedLoss of CrossEntropyLoss()' in text
assert 'Model frozen up to parameter group #2' in text
# %%
learn.unfreeze()
learn.summary()
# shows
text = str(learn.summary())
assert 'Total non-trainable params: 0' in text and 'Model unfrozen' in text
# %%
lr_min, lr_steep = learn.lr_find()
# %%
len(learn.opt.param_groups)
# shows
assert len(learn.opt.param_groups) == 3
# %%
learn.fit_one_cycle(12, lr_max=slice(1e-6, 1e-4))
# shows
assert learn.run.plans[0].lr == pytest_approx((1e-6, 1e-5, 1e-4))
# %%
learn.recorder.plot_loss()
# %%
learn = cnn_learner(dls, resnet50, metrics=error_rate).to_fp16()
learn.fine_tune(6, freeze_epochs=1)
# shows
assert all(p.dtype == torch.float32 for p in learn.model.parameters()), "mixed precision keeps float32 weights"
assert learn.run.device.precision != 'float32'
