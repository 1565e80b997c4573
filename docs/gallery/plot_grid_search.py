"""
A grid search over PCA and autoencoders
=======================================

Hyperparameter tuning by cross-validation: an autoencoder is a step of a Pipeline, so
``GridSearchCV`` can select between it and PCA, and the number of components of either.
"""

import gallery_data as shared
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.metrics import reconstruction_r2

X, y = load_digits(return_X_y=True)
X, y = X[:900], y[:900]
sizes = [2, 4, 8]

# %%
# By the reconstruction
# ---------------------
# ``reconstruction_r2`` is a scorer of the whole Pipeline, in the units of X. Candidates
# are comparable whatever their scaling.

pipeline = Pipeline([("scale", StandardScaler()), ("reduce", PCA())])
grid = {
    "reduce": [PCA(), AutoencoderTransformer(random_state=0)],
    "reduce__n_components": sizes,
}
search = GridSearchCV(pipeline, grid, scoring=reconstruction_r2, cv=3).fit(X)
print(search.best_params_)


def table(search: GridSearchCV) -> pd.DataFrame:
    """Mean scores by number of components and class."""
    results = pd.DataFrame(search.cv_results_)
    results["class"] = [type(model).__name__ for model in results["param_reduce"]]
    return results.pivot(
        index="param_reduce__n_components", columns="class", values="mean_test_score"
    )


table(search).round(3)

# %%
# By a downstream task
# --------------------
# If the codes are features of a classifier, search by its score: the codes of the best
# reconstruction are not always the best for classification.

pipeline = Pipeline(
    [
        ("scale", StandardScaler()),
        ("reduce", PCA()),
        ("classify", LogisticRegression(max_iter=2000)),
    ]
)
by_accuracy = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
table(by_accuracy).round(3)

# %%

figure, panels = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
titles = "R2 of the reconstruction", "accuracy of a logistic regression"
for axes, result, title in zip(panels, (search, by_accuracy), titles, strict=True):
    scores = table(result)
    for name, colour, marker in (
        ("PCA", shared.BLACK, "s"),
        ("AutoencoderTransformer", shared.BLUE, "o"),
    ):
        axes.plot(sizes, scores[name], color=colour, marker=marker, label=name)
    axes.set_xticks(sizes)
    axes.set(xlabel="components", title=title, ylim=(0, 1))
    axes.set_ylabel("mean over three folds")
panels[0].legend(loc="lower right")
plt.show()
