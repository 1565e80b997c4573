"""What the shared parameters mean, written once."""

from textwrap import indent

PARAMETERS = """\
hidden_layer_sizes : "auto", int or tuple of int, default="auto"
    Widths of the encoder's hidden layers; the decoder mirrors them. "auto" is three
    layers of 64, or of 128 from 50 features on. ``()`` makes both linear.

activation : {"silu", "relu", "gelu", "tanh", "sigmoid", "identity"}, default="silu"
    What follows each hidden layer.

encoder : callable or None, default=None
    A builder ``(n_in, n_out) -> torch.nn.Module`` to use in place of the default
    network: a function at the top level of a module, or a :func:`functools.partial` of
    one, such as ``partial(skae.networks.conv_encoder, image_shape=(1, 28, 28))``. A
    built module is refused, because training would change it and a second ``fit`` would
    start elsewhere. It takes standardised rows.

decoder : callable or None, default=None
    The same for the decoder.

init : {"pca", "random"}, default="pca"
    With "pca" encoder and decoder have a linear path beside the network, which starts
    at the principal components of X while the network starts at zero: training begins
    as PCA. With "random" there are just the networks, as torch initialises them.

learning_rate : float, default=7e-3
    Peak step size of AdamW. It warms up over the first 5 % of the steps and then falls
    to 1 % along a cosine. A skorch ``LRScheduler`` in ``callbacks`` replaces that.

batch_size : "auto" or int, default="auto"
    The most rows in a step. "auto" is a power of two near a sixteenth of the rows, from
    32 to 512.

max_iter : "auto" or int, default="auto"
    Number of epochs (passes over the rows). "auto" is a number of steps that grows with
    the square root of the number of rows: 600 for 1,000 rows, at most 6,000.

early_stopping : bool, default=True
    Hold rows out, stop when they get no better, and keep the weights that did best on
    them, those before the first step included. With fewer than 2,000 rows, training
    must beat its start by two standard errors over the rows held out (three below 150
    rows, which are held out in turn, in five folds), or the start is the answer; the
    model is then trained again on all rows, for the share of the steps that did best.
    In any case the start is the answer if it does better on the training rows. With
    False the last weights are kept.

validation_fraction : float, default=0.1
    Share of the rows held out, but at least 50 rows (or a third of all, if that is
    less) and at most 5,000. They are drawn as five runs of neighbouring rows, which are
    often alike. Below 150 rows the folds take its place.

n_iter_no_change : "auto" or int, default="auto"
    Number of looks at the rows held out without improvement after which training ends.
    There is a look about every 2 % of the steps. "auto" is 25, half of the run.

warm_start : bool, default=False
    Let ``fit`` go on from the module of an earlier fit: same units, same linear path,
    weights where they were. X must have the same features.

callbacks : list of skorch callbacks or None, default=None
    Copied at ``fit``. Epoch hooks always fire; batch hooks if a callback overrides
    them. Callbacks that collect predictions batch by batch, such as ``EpochScoring``,
    are not supported: scikit-learn's ``ScoringMonitor`` does that.

device : str or torch.device, default="auto"
    Where to compute. "auto" takes CUDA, then MPS, then the CPU.

random_state : int, RandomState instance or None, default=None
    Seeds initial weights, batches and held-out rows. torch's global random state is
    neither used nor changed; None draws the seed from numpy's, as in scikit-learn.

verbose : bool, default=False
    Show a progress bar (needs rich).
"""

ATTRIBUTES = """\
module_ : torch.nn.Module
    The trained module; ``module_.encode``, ``decode`` and ``reconstruct`` take and give
    tensors in the units of X.

n_iter_ : int
    Number of epochs behind the final weights, at least 1.

best_step_ : int
    Number of the optimiser step whose weights were kept; 0 for the initial weights.

history_ : DataFrame
    One row per epoch: ``stage``, ``epoch``, ``train_loss``, ``valid_loss`` (NaN where no
    rows were held out), ``learning_rate``, ``seconds``.

n_features_in_ : int
    Number of features seen during ``fit``.

feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of the features; only if X had string column names.
"""


VARIATIONAL = """\
beta : float, default=1.0
    Weight of the divergence from the prior. 1 is the true bound; above it (beta-VAE)
    codes say less and their components part, below it samples get worse. The noise is
    learned apart from it.

kl_warm_up : float, default=0.1
    Share of the training over which that weight grows from 0. A long one (0.4) keeps
    more components in use with ``init="random"``.

free_bits : float, default=0.0
    Nats that a component's mean divergence may have at no cost, which keeps components
    from being switched off early.

likelihood : {"gaussian", "bernoulli"}, default="gaussian"
    What a feature is about its reconstruction: normal, in any units, or 0 or 1 with that
    probability, for X in [0, 1].

noise : {"feature", "shared"} or float, default="feature"
    Standard deviation of a gaussian likelihood. It is learned for each feature, or as
    one share of every feature's own standard deviation; it starts at what PCA leaves,
    and stays above 0.001 standard deviations. A float is a fixed one in the units of X:
    ``noise=0.5**0.5`` with ``beta=1`` is the sum of squares plus the divergence that
    articles print.

prior : "normal" or density estimator, default="normal"
    What codes are drawn from, and scored by. An estimator with ``fit``, ``sample`` and
    ``score_samples`` is fitted after training, to codes of at most 5,000 rows, or of
    50,000 if it is a :class:`sklearn.mixture.GaussianMixture`, which often makes samples
    and scores better.

n_importance_samples : int, default=64
    Draws behind :meth:`score_samples`. More come closer to the exact value, from below.
"""

VARIATIONAL_ATTRIBUTES = """\
kl_per_component_ : ndarray of shape (n_components,)
    Mean divergence of each component from the prior on the training data, in nats,
    largest first: how much it says.

active_units_ : int
    Number of components whose posterior mean has a variance over 0.01.

noise_variance_ : ndarray of shape (n_features,)
    Variance of each feature about its reconstruction, in the units of X. Only with
    ``likelihood="gaussian"``.

prior_ : object or None
    The fitted density of codes; None with ``prior="normal"``.
"""


def documented(cls):
    """Fill the names in braces in the docstring of a class."""
    texts = {
        "parameters": PARAMETERS,
        "attributes": ATTRIBUTES,
        "variational": VARIATIONAL,
        "variational_attributes": VARIATIONAL_ATTRIBUTES,
    }
    for name, text in texts.items():
        shifted = indent(text, "    ").strip()
        cls.__doc__ = cls.__doc__.replace("{" + name + "}", shifted)
    return cls
