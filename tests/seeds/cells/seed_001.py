# ruff: noqa
# fmt: off
# The multi-label notebook of the computer-vision recipes. The cells of the document in order, without the notebook's
# setup; the lines after "# shows" are added and assert the outputs in the document.
# %%
import os
from eyebright.recipes import *
# %%
which_processor()
# shows
assert 'Torch is using' in which_processor()
# %%
DATA_PATH = unzip_url(Urls.multilabel_fridge_objects_path, exist_ok=True)
EPOCHS = 10
LEARNING_RATE = 1e-4
IM_SIZE = 300
BATCH_SIZE = 16
ARCHITECTURE = models.resnet18
# %%
path = Path(DATA_PATH)
path.ls()
# %%
(path/'images').ls()[:5]
# shows
assert len((path/'images').ls()[:5]) == 5
# %%
df = pd.read_csv(path/'labels.csv'); df.sample(5)
# shows
assert list(df.columns) == ['filename', 'labels'] and is_data_multilabel(path)
# %%
np.random.seed(42)
data = (ImageList.from_csv(path, 'labels.csv', folder='images')
        .split_by_rand_pct(0.2, seed=10)
        .label_from_df(label_delim=' ')
        .transform(size=IM_SIZE)
        .databunch(bs=BATCH_SIZE, num_workers = db_num_workers())
        .normalize(imagenet_stats))
# %%
print(f'number of classes: {data.c}')
print(data.classes)
# shows
assert data.classes == sorted({label for row in df['labels'] for label in row.split()}) and data.c == len(data.classes)
assert len(data.dls.valid_ds) == int(.2 * len(df))
# %%
data.batch_stats
# %%
data.show_batch(rows=3, figsize=(15, 11))
# shows
assert len(plt.gcf().axes) == 9 and tuple(plt.gcf().get_size_inches()) == (15, 11)
assert data.one_batch()[0].shape == (BATCH_SIZE, 3, IM_SIZE, IM_SIZE)
# %%
y_true = tensor([[1, 0, 0, 1], [1, 0, 1, 1], [0, 1, 0, 0], [0, 1, 1, 0], [1, 1, 0, 0]])
y_pred = tensor([[1, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 0]]).float()
# shows: the example table
assert hamming_accuracy(y_pred, y_true).item() == pytest_approx(1 - 3 / 20)
assert zero_one_accuracy(y_pred, y_true).item() == pytest_approx(1 - 3 / 5)
# %%
learn = cnn_learner(
    data,
    ARCHITECTURE,
    metrics=[hamming_accuracy, zero_one_accuracy],
    callback_fns=[partial(TrainMetricsRecorder, show_graph=True)]
)
# %%
learn.loss_func
# shows
assert repr(learn.loss_func) == 'FlattenedLoss of BCEWithLogitsLoss()'
# %%
learn.unfreeze()
# %%
learn.fit(EPOCHS, LEARNING_RATE)
# shows
assert learn.recorder.metric_names == [
    'epoch', 'train_loss', 'valid_loss', 'train_hamming_accuracy', 'valid_hamming_accuracy',
    'train_zero_one_accuracy', 'valid_zero_one_accuracy', 'time']
assert len(learn.recorder.values) == EPOCHS
# %%
learn.recorder.plot_losses()
# %%
learn.show_results(rows=3, figsize=(15, 10))
# shows
assert len(plt.gcf().axes) == 9 and tuple(plt.gcf().get_size_inches()) == (15, 10)
# %%
_, acc_hl, acc_zol = learn.validate(learn.data.valid_dl, metrics=[hamming_accuracy, zero_one_accuracy])
print(f'Hamming Accuracy on validation set: {float(acc_hl):3.2f}')
print(f'Zero-one Accuracy on validation set: {float(acc_zol):3.2f}')
# shows
assert learn.recorder.values[-1][3] == pytest_approx(acc_hl) and learn.recorder.values[-1][5] == pytest_approx(acc_zol)
# %%
interp = learn.interpret()
plot_thresholds(zero_one_accuracy, interp.preds, interp.y_true)
# %%
optimal_threshold = get_optimal_threshold(zero_one_accuracy, interp.preds, interp.y_true)
optimal_threshold
# %%
zero_one_accuracy(interp.preds, interp.y_true, threshold=optimal_threshold)
# shows
assert all(zero_one_accuracy(interp.preds, interp.y_true, threshold=optimal_threshold) >=
           zero_one_accuracy(interp.preds, interp.y_true, threshold=t) for t in np.linspace(.05, 1, 20))
# %%
training_accuracies = [x[0].numpy().ravel()[0] for x in learn.recorder.metrics]
# shows
assert len(training_accuracies) == EPOCHS
# %%
logits = tensor([1.6, .4, 3.9, .3])
# shows: the table of softmax, and that of the sigmoid with its threshold of 0.5
assert torch.allclose(logits.softmax(0), tensor([.086, .026, .864, .024]), atol=1e-3)
weather = tensor([-1.2, .2, 1.9, -.3, 3.4]).sigmoid()
assert torch.allclose(weather, tensor([.231, .550, .870, .426, .968]), atol=1e-3)
assert (weather > .5).tolist() == [False, True, True, False, True]
