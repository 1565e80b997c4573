"""
Faults of a pump, and which sensor shows them
=============================================

Some sensors, a row a second. The detector learns from the first minutes, when all is
well, and says afterwards how unusual a second is, and by which sensors.
"""

import gallery_data as shared
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.metrics import roc_auc_score

from skae import AEOutlierDetector

table = shared.sensors()
X, y = table.X, table.y
n_known = 400
print(table.name, X.shape)

detector = AEOutlierDetector(random_state=0).fit(X[:n_known])
scores = detector.score_samples(X)
smooth = pd.Series(scores).rolling(15, min_periods=1).median()
area = roc_auc_score(y[n_known:], -scores[n_known:])
print(f"AUROC after the first {n_known} seconds: {area:.3f}")

# %%
# The score over time
# -------------------
# Neighbouring seconds are alike, so a median over a quarter of a minute costs little time
# and spares many alarms.

figure, panels = plt.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained")
panels[0].plot(-scores, color=shared.SKY, linewidth=0.7, label="-score_samples")
panels[0].plot(-smooth, color=shared.BLUE, label="median of 15 s")
panels[0].axhline(-detector.offset_, color=shared.BLACK, linestyle="--", label="-offset_")
panels[0].axvspan(0, n_known, color=shared.GREEN, alpha=0.12, label="learned from")
standard = (X - X[:n_known].mean()) / X[:n_known].std()
shares = detector.explain(X[::10]).sum().sort_values()
for name, colour in zip(
    shares.index[:3], (shared.BLUE, shared.ORANGE, shared.PINK), strict=True
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
panels[1].set(xlabel="seconds", ylabel="deviations from the first minutes")
plt.show()

# %%
# Which sensor
# ------------
# Contributions sum to the score (less that of a usual row), so a map of them over time
# says what an alarm is about.

shares = detector.explain(X[::10])
figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
image = axes.imshow(
    -shares.T,
    aspect="auto",
    cmap="RdBu_r",
    vmin=-3,
    vmax=3,
    extent=(0, len(X), X.shape[1], 0),
)
axes.set_yticks(np.arange(X.shape[1]) + 0.5, X.columns)
axes.set(xlabel="seconds", title="-explain(X): red is odd")
for edge in np.flatnonzero(np.diff(y)):
    axes.axvline(edge, color=shared.BLACK, linestyle=":")
figure.colorbar(image, label="share of the score")
plt.show()

# %%
# A caution
# ---------
# One recording is an illustration, not a benchmark: it was chosen because its fault
# shows; not all do. Sensors that drift, such as a temperature, leave what the first
# minutes showed without a fault, and a detector of single rows cannot know that. Over all
# recordings, learned from the one without faults, the benchmark's AUROC is near one half
# (:doc:`/outliers`).
