"""
Progress bars and callbacks
===========================

``fit`` prints nothing by default. Training is monitored in three ways: a progress bar by
``verbose=True`` for one estimator, scikit-learn's callbacks for a whole Pipeline or
search, and skorch's callbacks within the training loop.
"""

import gallery_data as shared
from matplotlib import pyplot as plt
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, LRScheduler
from torch.optim.lr_scheduler import StepLR

from skae import AutoencoderTransformer
from skae.metrics import reconstruction_r2

X, _ = load_digits(return_X_y=True)

# %%
# Learning curves: the history
# ----------------------------
# ``history_`` has an entry per epoch. "validate" is the run with a validation set,
# "refit" the run on all samples that follows for small n_samples, for the best fraction
# of the steps.

autoencoder = AutoencoderTransformer(8, random_state=0).fit(X)
history = autoencoder.history_
figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
validated = history[history["stage"] == "validate"]
for name, colour, line in (
    ("train_loss", shared.BLUE, "-"),
    ("valid_loss", shared.ORANGE, "--"),
):
    axes.plot(
        validated["epoch"], validated[name], color=colour, linestyle=line, label=name
    )
refit = history[history["stage"] == "refit"]
axes.plot(
    refit["epoch"], refit["train_loss"], color=shared.GREEN, linestyle=":", label="refit"
)
axes.set(xlabel="epoch", ylabel="loss: 1 - R2", ylim=(0, None))
axes.legend()
plt.show()
history.tail(3).round(5)

# %%
# scikit-learn's callbacks
# ------------------------
# They are set on the outermost estimator and called at every epoch inside.
# ``ScoringMonitor`` records a score after every epoch.

monitor = ScoringMonitor(scoring={"r2": reconstruction_r2})
autoencoder = AutoencoderTransformer(8, max_iter=15, early_stopping=False, random_state=0)
autoencoder.set_callbacks(monitor).fit(X)
logs = monitor.get_logs().data_as_pandas
curve = logs[logs["task_name"] == "epoch"]["r2"]

figure, axes = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
axes.plot(range(1, len(curve) + 1), curve, color=shared.BLUE, marker="o")
axes.set(xlabel="epoch", ylabel="R2 on the training set")
plt.show()

# %%
# They are propagated to an autoencoder in a Pipeline in a search. With
# ``ProgressBar(max_propagation_depth=None)`` each fit also shows its epochs.

pipeline = Pipeline([("scale", StandardScaler()), ("ae", AutoencoderTransformer())])
pipeline.set_params(ae__max_iter=2, ae__random_state=0)
search = GridSearchCV(pipeline, {"ae__n_components": [2, 4]}, cv=2)
search.set_callbacks(ProgressBar(max_propagation_depth=1)).fit(X[:300])
print(search.best_params_)

# %%
# skorch's callbacks
# ------------------
# They are passed as ``callbacks=`` and copied at ``fit``. A scheduler replaces the
# default one. A custom callback is a class with some of ``on_epoch_end``,
# ``on_train_end`` and so on; ``net`` is skorch's.


class Report(Callback):
    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        if epoch["epoch"] % 4 == 0:
            print(f"epoch {epoch['epoch']}: loss {epoch['train_loss']:.4f}")


steps = LRScheduler(policy=StepLR, step_size=4, gamma=0.3)
monitored = AutoencoderTransformer(
    8, max_iter=12, callbacks=[steps, Report()], early_stopping=False, random_state=0
)
monitored.fit(X)
monitored.history_[["epoch", "train_loss", "learning_rate"]].iloc[::4].round(5)
