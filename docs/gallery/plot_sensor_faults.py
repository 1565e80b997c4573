"""
Fault detection in sensor time series
=====================================

Anomaly detection in the sensors of a pump, with one sample per second. The detector is
fitted to the first minutes, without faults. Afterwards it scores every second, and
attributes the score to sensors.
"""

import gallery_data as shared
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.metrics import roc_auc_score

from skae import AEOutlierDetector

table = shared.sensors()
X, y = table.X, table.y
n_train = 400
print(table.name, X.shape)

detector = AEOutlierDetector(random_state=0).fit(X[:n_train])
scores = detector.score_samples(X)
smooth = pd.Series(scores).rolling(15, min_periods=1).median()
area = roc_auc_score(y[n_train:], -scores[n_train:])
print(f"AUROC after the first {n_train} seconds: {area:.3f}")

# %%
# The score over time
# -------------------
# Adjacent seconds are alike, so a median over a quarter of a minute avoids many false
# alarms with little delay.

figure, panels = plt.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained")
panels[0].plot(-scores, color=shared.SKY, linewidth=0.7, label="-score_samples")
panels[0].plot(-smooth, color=shared.BLUE, label="median of 15 s")
panels[0].axhline(-detector.offset_, color=shared.BLACK, linestyle="--", label="-offset_")
panels[0].axvspan(0, n_train, color=shared.GREEN, alpha=0.12, label="training")
standard = (X - X[:n_train].mean()) / X[:n_train].std()
totals = detector.explain(X[::10]).sum().sort_values()
for name, colour in zip(
    totals.index[:3], (shared.BLUE, shared.ORANGE, shared.PINK), strict=True
):
    panels[1].plot(
        standard[name].rolling(15, min_periods=1).median(), color=colour, label=name
    )
for axes in panels:
    fault = y == 1
    low, high = axes.get_ylim()
    axes.fill_between(
        np.arange(len(y)),
        low,
        high,
        where=fault,
        color=shared.RED,
        alpha=0.15,
        label="fault",
    )
    axes.set_ylim(low, high)
    axes.legend(loc="upper left", fontsize="small")
panels[0].set(ylabel="logarithm of a distance", title=table.name)
panels[1].set(xlabel="seconds", ylabel="standard deviations of the training data")
plt.show()

# %%
# Which sensor
# ------------
# Contributions sum to the score minus its expected value, so a heat map over time shows
# the sensors behind an alarm.

contributions = detector.explain(X[::10])
figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
image = axes.imshow(
    -contributions.T,
    aspect="auto",
    cmap="RdBu_r",
    vmin=-3,
    vmax=3,
    extent=(0, len(X), X.shape[1], 0),
)
axes.set_yticks(np.arange(X.shape[1]) + 0.5, X.columns)
axes.set(xlabel="seconds", title="-explain(X): red is anomalous")
for edge in np.flatnonzero(np.diff(y)):
    axes.axvline(edge, color=shared.BLACK, linestyle=":")
figure.colorbar(image, label="contribution to the score")
plt.show()

# %%
# Limitations
# -----------
# One recording is an illustration, not a benchmark: it was chosen because its fault is
# visible, unlike others. Sensors that drift, such as a temperature, leave the training
# range without a fault, and a detector of single samples cannot distinguish the two. Over
# all recordings, with the fault-free one as training data, the benchmark's AUROC is
# near one half (:doc:`/outliers`).
