"""The conditional variational autoencoder: what is known of a row stays out of its code.

Sohn, Lee & Yan, "Learning structured output representation using deep conditional
generative models", NeurIPS 2015.
"""

import numpy as np
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from skae._base import code_basis
from skae._data.conditions import Labels, Numbers, check_condition
from skae._data.dataset import Dataset
from skae._data.statistics import Statistics, describe_given
from skae._utils.docstrings import documented
from skae._variational.label_inference import LabelsByEvidence


@documented
class ConditionalVAE(LabelsByEvidence):
    """Variational autoencoder of rows given what is known of them, y.

    Prefer it to :class:`VAETransformer` when rows of a kind are to be generated, when
    codes should hold what y does not say (the style of a digit, not which digit), or
    when the kind of a row is to be changed and the rest kept. Encoder and decoder see y.

    y of strings, integers or booleans holds labels; y of floats, or of several columns,
    holds numbers. Where a method is not given y, labels are inferred from the evidence,
    so that the class works within a Pipeline; numbers cannot be, and have to be given.
    To scikit-learn it is no classifier, so a search over sorted rows wants
    ``cv=StratifiedKFold()``.

    An ``encoder=`` builder is asked for ``n_out = 2 * n_components``, means and then
    log-variances; the inputs of both sides are followed by the columns of y, one for each
    label or number.

    Parameters
    ----------
    n_components : int, default=2
        Number of components of a code. More than the data call for do no harm: the
        divergence switches them off.

    {variational}

    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels. Only if y holds labels.

    {variational_attributes}

    {attributes}

    See Also
    --------
    VAETransformer : The same without a condition.
    sklearn.discriminant_analysis.LinearDiscriminantAnalysis : Where training begins.

    References
    ----------
    Sohn, Lee & Yan, "Learning structured output representation using deep conditional
    generative models", NeurIPS 2015,
    https://papers.nips.cc/paper/2015/hash/8d55a249e6baa5c06772297520da2051-Abstract.html

    Kingma et al., "Semi-supervised learning with deep generative models", NeurIPS 2014,
    https://arxiv.org/abs/1406.5298

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import ConditionalVAE
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> X, y = X.to_numpy(), y.map(dict(enumerate(["setosa", "versicolor", "virginica"])))
    >>> vae = ConditionalVAE(1, random_state=0).fit(X, y)
    >>> vae.sample(2, y="setosa", random_state=0).shape
    (2, 4)
    >>> float((vae.predict(X) == y).mean()) > 0.95
    True
    """

    # y follows X to these methods where metadata routing is asked to bring it.
    __metadata_request__transform = {"y": None}
    __metadata_request__inverse_transform = {"y": None}

    _supports_partial_fit = False

    def __init__(
        self,
        n_components=2,
        *,
        beta=1.0,
        kl_warm_up=0.1,
        free_bits=0.0,
        likelihood="gaussian",
        noise="feature",
        prior="normal",
        n_importance_samples=64,
        hidden_layer_sizes="auto",
        activation="silu",
        encoder=None,
        decoder=None,
        init="pca",
        learning_rate=7e-3,
        batch_size="auto",
        max_iter="auto",
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change="auto",
        warm_start=False,
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=False,
    ):
        self.n_components = n_components
        self.beta = beta
        self.kl_warm_up = kl_warm_up
        self.free_bits = free_bits
        self.likelihood = likelihood
        self.noise = noise
        self.prior = prior
        self.n_importance_samples = n_importance_samples
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.encoder = encoder
        self.decoder = decoder
        self.init = init
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # Fitting.

    def fit(self, X, y=None):
        """Learn to encode and decode the rows of X, given y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in any units. Sparse rows are made dense a batch at a time.

        y : array-like of shape (n_samples,) or (n_samples, n_conditions)
            Labels or numbers.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If y is missing, or X or y is not finite, or if a parameter does not suit X.
            What an earlier ``fit`` left is kept.
        """
        return super().fit(X, y)

    def fit_transform(self, X, y=None):
        """Fit to X and y, then encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.

        y : array-like of shape (n_samples,) or (n_samples, n_conditions)
            Labels or numbers.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            As ``fit(X, y).transform(X)`` gives them: labels are inferred, as they will
            be for new rows. Numbers, which cannot be, are those given.
        """
        self.fit(X, y)
        return self.transform(X, y if isinstance(self._condition, Numbers) else None)

    def _make_dataset(self, X: np.ndarray, y) -> Dataset:
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None. Pass what is known of each row, or use VAETransformer."
            )
        y = check_condition(y)
        check_consistent_length(X, y)
        known = getattr(self, "_condition", None) if self.warm_start else None
        if known is None:
            known = Numbers(y) if y.ndim == 2 else Labels(y)
        vars(self).pop("classes_", None)
        self._condition = known.recount(y)
        if isinstance(known, Labels):
            self.classes_ = known.classes
        return Dataset(X, condition=known.columns(y, len(y)))

    def _describe(self, dataset: Dataset, trained: Dataset) -> Statistics:
        return describe_given(dataset, self.n_components, trained, self._standardizes)

    # Using what was fitted.

    def transform(self, X, y=None):
        """Encode the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        y : array-like, default=None
            What is known of each row, or of all of them. None infers labels.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            Means of the posterior, in the dtype of X.
        """
        return self._encode(self._make_query(X, y))

    def inverse_transform(self, X, y=None):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as :meth:`transform` gives them.

        y : array-like, default=None
            What the rows shall be. None takes the label whose training codes, as a normal
            density, make the code most likely; that is a guess, as codes are meant to
            hold what labels do not say.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Rows in the units of the training data, in the dtype of the codes.
        """
        check_is_fitted(self)
        codes = self._validate_codes(X)
        return self._decode(codes, self._condition_of_codes(codes, y))

    def reconstruct(self, X, y=None):
        """Encode and decode in one pass.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        y : array-like, default=None
            What is known of each row, or of all of them. None infers labels.

        Returns
        -------
        X_reconstructed : ndarray of shape (n_samples, n_features)
            What code and condition retain of X, in the dtype of X.
        """
        return self._map(code_basis.reconstruct, self._make_query(X, y))

    def posterior(self, X, y=None):
        """Say which codes a row may have.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        y : array-like, default=None
            What is known of each row, or of all of them. None infers labels.

        Returns
        -------
        mean, deviation : ndarray of shape (n_samples, n_components)
            Of the posterior.
        """
        return self._moments(self._make_query(X, y))

    def score_samples(self, X, y=None):
        """Log-likelihood of each row, in nats.

        The importance-weighted bound with ``n_importance_samples`` draws, as in
        :meth:`VAETransformer.score_samples`, under the prior of :meth:`sample`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        y : array-like, default=None
            What is known of each row, or of all of them. With it the score is
            log p(x | y). Without it, it is log p(x), the labels being weighed by their
            share in training, which compares with other densities.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Log-likelihoods. Higher is better.
        """
        check_is_fitted(self)
        X = self._validate(X)
        if y is None:
            return self._marginal(X)
        condition = self._condition.columns(y, X.shape[0])
        return self._evidence(Dataset(X, condition=condition))

    def score(self, X, y=None):
        """Return the mean of :meth:`score_samples`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        y : array-like, default=None
            With it, the mean of log p(x | y); without it, of log p(x).

        Returns
        -------
        score : float
            Mean log-likelihood, in nats. Higher is better.
        """
        return float(self.score_samples(X, y).mean())

    # Generating.

    def sample(self, n_samples=1, y=None, *, random_state=None, noise=True):
        """Generate rows.

        Parameters
        ----------
        n_samples : int, default=1
            How many.

        y : label, number or array-like, default=None
            What the rows shall be: one for all or one for each. None draws labels by
            their share in training.

        random_state : int, RandomState instance or None, default=None
            Seeds the draws.

        noise : bool, default=True
            Draw each row about what its code decodes to, as the model says that data
            arise. With False the decoder's means are returned, which look cleaner.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            Rows in the units of the training data.
        """
        return self._sample(n_samples, y, random_state, noise=noise)

    def _condition_of_samples(self, n_samples: int, y, random_state) -> np.ndarray:
        if y is None:
            self._need_labels("sample")
            y = random_state.choice(self.classes_, n_samples, p=self._condition.share)
        return self._condition.columns(y, n_samples)

    def translate(self, X, y_from, y_to):
        """Turn rows of one kind into another, and keep the rest.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        y_from : label, number or array-like
            What is known of the rows: one for all or one for each. None infers labels.

        y_to : label, number or array-like
            What they shall be.

        Returns
        -------
        X_translated : ndarray of shape (n_samples, n_features)
            The rows' codes, decoded under ``y_to``.
        """
        codes = self._encode(self._make_query(X, y_from))
        return self._decode(codes, self._condition.columns(y_to, len(codes)))

    def interpolate(self, X_from, X_to, n_steps=10, *, y=None):
        """Lead from rows to others through the space of codes.

        Parameters
        ----------
        X_from, X_to : array-like of shape (n_pairs, n_features)
            Where paths begin, and where they end.

        n_steps : int, default=10
            Rows of a path, both ends included.

        y : label, number or array-like, default=None
            What the rows of each path shall be; ``X_from`` and ``X_to`` are taken for
            such, too. None infers the labels of both, and moves from one to the other.

        Returns
        -------
        paths : ndarray of shape (n_pairs, n_steps, n_features)
            What the codes on the straight line decode to; the ends are the
            reconstructions of the rows given.
        """
        return self._interpolate(
            self._make_query(X_from, y), self._make_query(X_to, y), n_steps
        )

    def traverse(self, component, values, at=None, *, y=None):
        """Show what a component does.

        Parameters
        ----------
        component : int
            Which one, from 0.

        values : array-like of shape (n_values,)
            Values that it takes in turn; the prior's standard deviation is 1.

        at : array-like of shape (n_rows, n_features), default=None
            Rows whose codes the others stay at. None is the centre of the prior, 0.

        y : label, number or array-like, default=None
            What the rows shall be; None infers the labels of ``at``, and without that
            it has to be given.

        Returns
        -------
        X : ndarray of shape (n_values, n_features) or (n_rows, n_values, n_features)
            What the codes decode to; with ``at=None`` there is no axis of rows.
        """
        check_is_fitted(self)
        if at is not None:
            dataset = self._make_query(at, y)
            return self._traverse(
                component, values, self._encode(dataset), dataset.condition
            )
        if y is None:
            raise ValueError(
                "traverse has to know what the rows shall be. Pass y, or rows as at=, "
                "whose labels are inferred."
            )
        condition = self._condition.columns(y, 1)
        return self._traverse(component, values, self._prior_mean(), condition)[0]

    def direction(self, X_from, X_to, *, y=None):
        """Return the code of a difference, for arithmetic on codes.

        Parameters
        ----------
        X_from, X_to : array-like of shape (n_rows, n_features)
            Rows without and with what the direction is to mean; their numbers may differ.

        y : label or number, default=None
            What is known of all of them. None infers labels.

        Returns
        -------
        direction : ndarray of shape (n_components,)
            From the mean code of ``X_from`` to that of ``X_to``.
        """
        return self._direction(self._make_query(X_from, y), self._make_query(X_to, y))

    def diagnose(self, X, y=None):
        """Say how well the model generates what the rows are made of.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, best held out. Distances are taken between at most 1,000 of them.

        y : array-like, default=None
            What is known of each row. None infers labels. Samples have the rows' own.

        Returns
        -------
        figures : Series
            As :meth:`VAETransformer.diagnose` has them.
        """
        return self._figures(self._make_query(X, y))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
