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
net_ : skorch.NeuralNet
    The trained net. Its ``history`` is skorch's.

module_ : torch.nn.Module
    The trained module; ``module_.encode``, ``decode`` and ``reconstruct`` take and give
    tensors in the units of X.

n_iter_ : int
    Number of epochs behind the final weights, at least 1.

history_ : DataFrame
    One row per epoch: ``stage``, ``epoch``, ``train_loss``, ``valid_loss`` (NaN where no
    rows were held out), ``learning_rate``, ``seconds``.

n_features_in_ : int
    Number of features seen during ``fit``.

feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of the features; only if X had string column names.
"""


def documented(cls):
    """Fill ``{parameters}`` and ``{attributes}`` in the docstring of a class."""
    parameters = indent(PARAMETERS, "    ").strip()
    attributes = indent(ATTRIBUTES, "    ").strip()
    cls.__doc__ = cls.__doc__.replace("{parameters}", parameters)
    cls.__doc__ = cls.__doc__.replace("{attributes}", attributes)
    return cls
