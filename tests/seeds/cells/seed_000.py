# ruff: noqa
# fmt: off
# Chapter 6 of the fastai book: any number of labels, and points. The cells of the document in order; the lines after
# "# shows" are added and assert the outputs in the document.
# %%
from eyebright.all import *
# %%
path = untar_data(URLs.PASCAL_2007)
# %%
df = pd.read_csv(path/'train.csv')
df.head()
# shows
assert list(df.columns) == ['fname', 'labels', 'is_valid']
# %%
df.iloc[:,0]
# %%
df.iloc[0,:]
# %%
dblock = DataBlock()
dsets = dblock.datasets(df)
len(dsets.train),len(dsets.valid)
# shows
assert len(dsets.valid) == int(.2 * len(df)) and len(dsets.train) == len(df) - len(dsets.valid)
# %%
x,y = dsets.train[0]
x,y
# %%
dsets.train[0]
# shows
assert x.equals(y), "the row twice"
# %%
x['fname']
# %%
dblock = DataBlock(get_x = lambda r: r['fname'], get_y = lambda r: r['labels'])
dsets = dblock.datasets(df)
dsets.train[0]
# %%
def get_x(r): return r['fname']
def get_y(r): return r['labels']
dblock = DataBlock(get_x = get_x, get_y = get_y)
dsets = dblock.datasets(df)
dsets.train[0]
# shows
assert [type(field) for field in dsets.train[0]] == [str, str]
# %%
df['labels'][200].split(' ')
# %%
def get_x(r): return path/'train'/r['fname']
def get_y(r): return r['labels'].split(' ')
dblock = DataBlock(get_x = get_x, get_y = get_y)
dsets = dblock.datasets(df)
dsets.train[0]
dsets.train[200]
# shows
assert dsets.train[0][0].is_file() and isinstance(dsets.train[200][1], list)
# %%
dblock = DataBlock(blocks=(ImageBlock, MultiCategoryBlock),
                   get_x = get_x, get_y = get_y)
dsets = dblock.datasets(df)
dsets.train[0]
# shows
assert repr(dsets.train[0][0]).startswith('PILImage mode=RGB size=')
assert type(dsets.train[0][1]) is torch.Tensor
# %%
dsets.train[0][1]==1.
# %%
torch.where(dsets.train[0][1]==1.)
# %%
torch.where(dsets.train[0][1]==1.)[0]
# %%
idxs = torch.where(dsets.train[0][1]==1.)[0]
dsets.train.vocab[idxs]
# shows
assert dsets.train.vocab[idxs] == sorted(get_y(dsets.train.items.iloc[0]))
# %%
def splitter(df):
    train = df.index[~df['is_valid']].tolist()
    valid = df.index[df['is_valid']].tolist()
    return train,valid

dblock = DataBlock(blocks=(ImageBlock, MultiCategoryBlock),
                   splitter=splitter,
                   get_x=get_x,
                   get_y=get_y)
dsets = dblock.datasets(df)
dsets.train[0]
# shows
assert len(dsets.valid) == df['is_valid'].sum()
# %%
dblock = DataBlock(blocks=(ImageBlock, MultiCategoryBlock),
                   splitter=splitter,
                   get_x=get_x,
                   get_y=get_y,
                   item_tfms = RandomResizedCrop(128, min_scale=0.35))
dls = dblock.dataloaders(df)
# %%
dls.show_batch(nrows=1, ncols=5)
# shows
assert len(plt.gcf().axes) == 5 and tuple(plt.gcf().get_size_inches()) == (15, 3)
# %%
learn = cnn_learner(dls, resnet34)
# %%
x,y = to_cpu(dls.train.one_batch())
activs = learn.model(x)
activs.shape
# shows
assert activs.shape == (64, len(dls.vocab))
# %%
activs[0]
# %%
def binary_cross_entropy(inputs, targets):
    inputs = inputs.sigmoid()
    return -torch.where(targets==1, 1-inputs, inputs).log().mean()
# shows: the two branches are swapped, so that a confident correct prediction has the highest loss
sure = tensor([[9., -9.]])
assert binary_cross_entropy(sure, tensor([[1, 0]])) > binary_cross_entropy(sure, tensor([[0, 1]]))
# %%
loss_func = nn.BCEWithLogitsLoss()
loss = loss_func(activs, y)
loss
# shows
assert torch.isclose(loss, -torch.where(y == 1, activs.sigmoid(), 1 - activs.sigmoid()).log().mean(), rtol=1e-3)
assert torch.isclose(loss, learn.loss_func(activs, y))
# %%
def accuracy(inp, targ, axis=-1):
    "Compute accuracy with `targ` when `pred` is bs * n_classes"
    pred = inp.argmax(dim=axis)
    return (pred == targ).float().mean()
# %%
library = accuracy_multi
def accuracy_multi(inp, targ, thresh=0.5, sigmoid=True):
    "Compute accuracy when `inp` and `targ` are the same size."
    if sigmoid: inp = inp.sigmoid()
    return ((inp>thresh)==targ.bool()).float().mean()
# shows: the same as the library's function
assert accuracy_multi(activs, y, thresh=.3).item() == pytest_approx(library(activs, y, thresh=.3).item())
# %%
def say_hello(name, say_what="Hello"): return f"{say_what} {name}."
say_hello('Jeremy'),say_hello('Jeremy', 'Ahoy!')
# %%
f = partial(say_hello, say_what="Bonjour")
f("Jeremy"),f("Sylvain")
# %%
learn = cnn_learner(dls, resnet50, metrics=partial(accuracy_multi, thresh=0.2))
learn.fine_tune(3, base_lr=3e-3, freeze_epochs=4)
# shows
assert learn.recorder.metric_names == ['epoch', 'train_loss', 'valid_loss', 'accuracy_multi', 'time']
assert len(learn.recorder.values) == 7 and [plan.epochs for plan in learn.run.plans] == [4, 3]
# %%
learn.metrics = partial(accuracy_multi, thresh=0.1)
learn.validate()
# shows
low = learn.validate()
# %%
learn.metrics = partial(accuracy_multi, thresh=0.99)
learn.validate()
# shows
high = learn.validate()
assert abs(low[0] - high[0]) < 1e-5 and low[1] != high[1]
# %%
preds,targs = learn.get_preds()
# %%
accuracy_multi(preds, targs, thresh=0.9, sigmoid=False)
# shows
assert abs(float(accuracy_multi(preds, targs, thresh=.99, sigmoid=False)) - high[1]) < 1e-5
# %%
xs = torch.linspace(0.05,0.95,29)
accs = [accuracy_multi(preds, targs, thresh=i, sigmoid=False) for i in xs]
plt.plot(xs,accs);
# %%
path = untar_data(URLs.BIWI_HEAD_POSE)
# %%
Path.BASE_PATH = path
# %%
path.ls().sorted()
# shows
assert path.ls().sorted()[0].name == '01' and repr(path/'01') == "Path('01')"
# %%
(path/'01').ls().sorted()
# %%
img_files = get_image_files(path)
def img2pose(x): return Path(f'{str(x)[:-7]}pose.txt')
img2pose(img_files[0])
# shows
assert img2pose(img_files[0]).is_file()
# %%
im = PILImage.create(img_files[0])
im.shape
# shows
assert im.shape == tuple(reversed(im.size))
# %%
im.to_thumb(150)
# shows
assert max(im.to_thumb(20).size) == 20
# %%
cal = np.genfromtxt(path/'01'/'rgb.cal', skip_footer=6)
def get_ctr(f):
    ctr = np.genfromtxt(img2pose(f), skip_header=3)
    c1 = ctr[0] * cal[0][0]/ctr[2] + cal[0][2]
    c2 = ctr[1] * cal[1][1]/ctr[2] + cal[1][2]
    return tensor([c1,c2])
# %%
biwi = DataBlock(
    blocks=(ImageBlock, PointBlock),
    get_items=get_image_files,
    get_y=get_ctr,
    splitter=FuncSplitter(lambda o: o.parent.name=='13'),
    batch_tfms=[*aug_transforms(size=(240,320)), 
                Normalize.from_stats(*imagenet_stats)]
)
# %%
dls = biwi.dataloaders(path)
dls.show_batch(max_n=9, figsize=(8,6))
# shows
assert {p.parent.name for p in dls.valid_ds.items} == {'13'}
assert tuple(plt.gcf().get_size_inches()) == (8, 6) and all(ax.collections for ax in plt.gcf().axes)
# %%
xb,yb = dls.one_batch()
xb.shape,yb.shape
# shows
assert xb.shape == (64, 3, 240, 320) and yb.shape == (64, 1, 2)
# %%
yb[0]
# shows
assert yb[~yb.isnan()].abs().max() <= 1
# %%
learn = cnn_learner(dls, resnet18, y_range=(-1,1))
# %%
def sigmoid_range(x, lo, hi): return torch.sigmoid(x) * (hi-lo) + lo
# %%
plot_function(partial(sigmoid_range,lo=-1,hi=1), min=-4, max=4)
# %%
dls.loss_func
# shows
assert repr(dls.loss_func) == repr(learn.loss_func) == 'FlattenedLoss of MSELoss()'
# %%
learn.lr_find()
lr = 1e-2
learn.fine_tune(3, lr)
# %%
math.sqrt(0.0001)
# %%
learn.show_results(ds_idx=1, nrows=3, figsize=(6,8))
# shows
assert len(plt.gcf().axes) == 6 and plt.gcf().get_suptitle() == 'Target/Prediction'
del Path.BASE_PATH
