# ruff: noqa
# fmt: off
# Chapter 6 of the fastai book again, with newer names; some cells are the same as in seed_000. The lines after
# "# shows" are added and assert the outputs in the document.
# %%
from eyebright.all import *
path = untar_data(URLs.PASCAL_2007)
df = pd.read_csv(path/'train.csv')
# %%
df.iloc[:,0] #按所有行,第0列
df.iloc[:,1] #按所有行,第1列
df.iloc[0,:] #按第0行,所有列
df['labels'].head()
# %%
tmp_df = pd.DataFrame({'a':[1,2], 'b':[3,4]})
tmp_df['c'] = tmp_df['a']+tmp_df['b']
# %%
dblock = DataBlock() # 无参初始化
dsets = dblock.datasets(df)
x,y = dsets.train[0]
# shows
assert x.equals(y)
# %%
def get_x(r): return r['fname']
def get_y(r): return r['labels']
dblock = DataBlock(get_x = get_x, get_y = get_y)
dsets = dblock.datasets(df)
# %%
def get_x(r): return path/'train'/r['fname']
def get_y(r): return r['labels'].split(' ')
dblock = DataBlock(get_x = get_x, get_y = get_y)
dsets = dblock.datasets(df)
# shows
assert isinstance(dsets.train[0][0], Path) and isinstance(dsets.train[0][1], list)
# %%
dblock = DataBlock(blocks=(ImageBlock, MultiCategoryBlock),
                   get_x = get_x, get_y = get_y)
dsets = dblock.datasets(df)
idxs = torch.where(dsets.train[0][1]==1.)[0]
dsets.train.vocab[idxs]
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
# %%
dblock = DataBlock(blocks=(ImageBlock, MultiCategoryBlock),
                   splitter=splitter,
                   get_x=get_x, 
                   get_y=get_y,
                   item_tfms = RandomResizedCrop(128, min_scale=0.35))
dls = dblock.dataloaders(df)
# shows: the default batch
assert dls.one_batch()[0].shape == (64, 3, 128, 128)
# %%
dls = dblock.dataloaders(df,bs=32)
dls.show_batch(nrows=1, ncols=3)
# shows
assert dls.one_batch()[0].shape[0] == 32 and len(plt.gcf().axes) == 3
# %%
dblock.summary(df)
# %%
learn = vision_learner(dls, resnet18)
# %%
x,y = to_cpu(dls.train.one_batch())
activs = learn.model(x)
activs.shape
activs[0]
# shows
assert activs.shape == (32, len(dls.vocab))
# %%
def binary_cross_entropy(inputs, targets):
    inputs = inputs.sigmoid() #模型的输出
    return -torch.where(targets==1, 1-inputs, inputs).log().mean() #targets标签
# %%
activs = activs.as_subclass(torch.Tensor)
y = y.as_subclass(torch.Tensor)
loss_func = nn.BCEWithLogitsLoss()
loss = loss_func(activs, y)
# shows
assert loss.requires_grad
# %%
def accuracy(inp, targ, axis=-1):
    pred = inp.argmax(dim=axis)
    return (pred == targ).float().mean()

def accuracy_multi(inp, targ, thresh=0.5, sigmoid=True):
    if sigmoid: inp = inp.sigmoid()
    return ((inp>thresh)==targ.bool()).float().mean()
# %%
def say_hello(name, say_what="Hello"): return f"{say_what} {name}."
say_hello('Jeremy'),say_hello('Jeremy', 'Ahoy!')
f = partial(say_hello, say_what="Bonjour")
f("Jeremy"),f("Sylvain")
# shows
assert f("Sylvain") == 'Bonjour Sylvain.'
# %%
learn = vision_learner(dls, resnet50, metrics=partial(accuracy_multi, thresh=0.2))
learn.fine_tune(3, base_lr=3e-3, freeze_epochs=4)
# %%
learn.metrics = partial(accuracy_multi, thresh=0.1)
learn.validate()
# %%
learn.metrics = partial(accuracy_multi, thresh=0.99)
learn.validate()
# %%
preds,targs = learn.get_preds()
preds.shape
# shows
assert preds.shape == torch.Size([int(df['is_valid'].sum()), len(dls.vocab)])
# %%
accuracy_multi(preds, targs, thresh=0.9, sigmoid=False)
# %%
xs = torch.linspace(0.05,0.95,29)
accs = [accuracy_multi(preds, targs, thresh=i, sigmoid=False) for i in xs]
max_acc_index = accs.index(max(accs))
max_acc_thresh = xs[max_acc_index]
plt.plot(xs, accs, label='Accuracy')
plt.scatter([max_acc_thresh], [max(accs)], color='red')
plt.text(max_acc_thresh, max(accs), f'({max_acc_thresh:.2f}, {max(accs):.2f})', ha='left', va='bottom')
plt.xlabel('Threshold')
plt.ylabel('Accuracy')
plt.title('Accuracy vs. Threshold')
plt.legend()
# shows
assert max_acc_thresh in xs and plt.gca().get_title() == 'Accuracy vs. Threshold'
