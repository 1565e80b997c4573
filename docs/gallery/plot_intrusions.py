"""
Detecting intrusions
====================

Connections of a network, numbers and words mixed. The detector learns from normal ones
and says how unusual later ones are. Their labels are used only to judge it.
"""

import gallery_data as shared
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import RocCurveDisplay, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import AEOutlierDetector

train, test = shared.intrusions(n_normal=3000, n_test=4000)
print(train.name, train.X.shape, "|", test.name, test.X.shape)
is_attack = test.y != "normal"
print(f"attacks in the test rows: {is_attack.mean():.0%}")

# %%
# Words become columns of 0 and 1; a word that training rows did not have is all 0. The
# default detector needs no scaling, IsolationForest neither: the scaler is there for
# whatever you put in their place.


def columns():
    return make_column_transformer(
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
        (StandardScaler(), make_column_selector(dtype_include="number")),
    )


detector = make_pipeline(columns(), AEOutlierDetector(random_state=0)).fit(train.X)
forest = make_pipeline(columns(), IsolationForest(random_state=0)).fit(train.X)
scores = {
    "AEOutlierDetector": detector.score_samples(test.X),
    "IsolationForest": forest.score_samples(test.X),
}

figure, panels = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
colours = shared.BLUE, shared.ORANGE
for (name, score), colour, line in zip(scores.items(), colours, ("-", "--"), strict=True):
    style = {"color": colour, "linestyle": line}
    RocCurveDisplay.from_predictions(
        is_attack, -score, ax=panels[0], name=name, curve_kwargs=style
    )
panels[0].set_xlabel("share of normal connections named")
panels[0].set_ylabel("share of attacks named")
bins = np.linspace(*np.percentile(-scores["AEOutlierDetector"], [0, 99]), 50)
for part, colour in ((~is_attack, shared.SKY), (is_attack, shared.RED)):
    panels[1].hist(
        -scores["AEOutlierDetector"][part],
        bins,
        color=colour,
        alpha=0.7,
        label="attacks" if colour == shared.RED else "normal",
    )
threshold = -detector[-1].offset_
panels[1].axvline(threshold, color=shared.BLACK, linestyle=":", label="-offset_")
panels[1].set(xlabel="-score_samples: logarithm of a distance", ylabel="connections")
panels[1].legend()
figure.suptitle(test.name)
plt.show()

# %%
# Which attacks are found
# -----------------------
# ``predict`` says -1 below ``offset_``. Some attacks look like normal connections, one
# by one; no detector of single rows finds these. Later normal traffic differs from that
# trained on, so more of it is named than was in training: watch that share in use.

named = pd.Series(detector.predict(test.X) == -1)
found = named.groupby(test.y).agg(["size", "mean"]).sort_values("size", ascending=False)
found.columns = ["connections", "share named"]
print({n: round(roc_auc_score(is_attack, -s), 3) for n, s in scores.items()})
found.head(12).round(2)

# %%
# Why
# ---
# ``explain`` shares the score out over the columns of the detector. Those of one word
# are added up. The most negative are the oddest.

odd = np.flatnonzero(is_attack & named)[:5]
encoded = detector[:-1].transform(test.X.iloc[odd])
shares = detector[-1].explain(encoded)
shares.columns = [
    next((c for c in test.X if n == c or n.startswith(c + "_")), n)
    for n in (name.split("__")[1] for name in detector[:-1].get_feature_names_out())
]
shares = shares.T.groupby(level=0).sum().T
for row, share in zip(odd, shares.iloc, strict=True):
    worst = share.nsmallest(3)
    print(f"{test.y[row]:>15}:", ", ".join(f"{n} {v:.1f}" for n, v in worst.items()))
