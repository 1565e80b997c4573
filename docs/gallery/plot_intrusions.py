"""
Intrusion detection: anomalies in mixed-type data
=================================================

Anomaly detection in network connections with numeric and categorical features. The
detector is fitted to normal connections and scores later ones. Labels are used only for
evaluation.
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
print(f"attacks in the test set: {is_attack.mean():.0%}")

# %%
# Categorical features are one-hot encoded; a category that is not in the training data is
# all 0. The default detector and IsolationForest do not need scaled features: the scaler
# is there for other detectors.


def preprocessing():
    return make_column_transformer(
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
        (StandardScaler(), make_column_selector(dtype_include="number")),
    )


detector = make_pipeline(preprocessing(), AEOutlierDetector(random_state=0)).fit(train.X)
forest = make_pipeline(preprocessing(), IsolationForest(random_state=0)).fit(train.X)
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
panels[0].set_xlabel("false positive rate (normal connections flagged)")
panels[0].set_ylabel("true positive rate (attacks flagged)")
bins = np.linspace(*np.percentile(-scores["AEOutlierDetector"], [0, 99]), 50)
for group, colour in ((~is_attack, shared.SKY), (is_attack, shared.RED)):
    panels[1].hist(
        -scores["AEOutlierDetector"][group],
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
# Which attacks are detected
# --------------------------
# ``predict`` is -1 for scores below ``offset_``. Some attacks consist of connections that
# are normal one by one; no detector of single samples finds these. Later normal traffic
# differs from the training data, so more of it is flagged: monitor this rate in use.

flagged = pd.Series(detector.predict(test.X) == -1)
detected = flagged.groupby(test.y).agg(["size", "mean"])
detected = detected.sort_values("size", ascending=False)
detected.columns = ["connections", "share flagged"]
print({n: round(roc_auc_score(is_attack, -s), 3) for n, s in scores.items()})
detected.head(12).round(2)

# %%
# Feature contributions
# ---------------------
# ``explain`` attributes the score to the detector's features. The contributions of one
# categorical feature are summed. The most negative are the most anomalous.

outliers = np.flatnonzero(is_attack & flagged)[:5]
encoded = detector[:-1].transform(test.X.iloc[outliers])
contributions = detector[-1].explain(encoded)
contributions.columns = [
    next((c for c in test.X if n == c or n.startswith(c + "_")), n)
    for n in (name.split("__")[1] for name in detector[:-1].get_feature_names_out())
]
contributions = contributions.T.groupby(level=0).sum().T
for place, contribution in zip(outliers, contributions.iloc, strict=True):
    worst = contribution.nsmallest(3)
    print(f"{test.y[place]:>15}:", ", ".join(f"{n} {v:.1f}" for n, v in worst.items()))
