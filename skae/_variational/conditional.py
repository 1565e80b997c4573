"""Conditional variational autoencoder (CVAE).

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
    """Conditional variational autoencoder (CVAE): conditional generation given y.

    Prefer it to :class:`VAETransformer` to generate samples of a class, for codes that do
    not contain y (the style of a digit, not which digit), or to change the class of a
    sample and keep the rest. Encoder and decoder are conditioned on y.

    y of strings, integers or booleans is taken as labels; y of floats, or with two
    axes, as continuous. Where a method is called without y, labels are inferred by
    Bayes' rule from the log-likelihoods, so that the class works within a Pipeline;
    continuous y must be passed. scikit-learn does not treat it as a classifier, so that a
    search over samples sorted by label needs ``cv=StratifiedKFold()``.

    An ``encoder=`` builder is called with ``n_out = 2 * n_components``, means and then
    log-variances; y, one-hot if labels, is appended to the inputs of both networks.

    Parameters
    ----------
    n_components : int, default=2
        Dimension of the latent representation. Components that the data do not need are
        switched off by the KL divergence.

    {variational}

    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, if y was labels.

    {variational_attributes}

    {attributes}

    See Also
    --------
    VAETransformer : Unconditional variational autoencoder.
    sklearn.discriminant_analysis.LinearDiscriminantAnalysis : The initial model.

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

    # y is passed to these methods where metadata routing requests it.
    __metadata_request__transform = {"y": None}
    __metadata_request__inverse_transform = {"y": None}

    _supports_partial_fit = False

    # Fitting.

    def fit(self, X, y=None, *, groups=None):
        """Fit the conditional autoencoder to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in any units. Sparse data are made dense a batch at a time.

        y : array-like of shape (n_samples,) or (n_samples, n_conditions)
            Labels, or continuous conditions.

        groups : array-like of shape (n_samples,), default=None
            Group of each sample, such as the subject or the machine that it was measured
            on. Whole groups are held out to validate.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If y is missing, X or y is not finite, or a parameter is not valid for X. The
            result of an earlier ``fit`` is kept.
        """
        return super().fit(X, y, groups=groups)

    def fit_transform(self, X, y=None, *, groups=None):
        """Fit to X and y and encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.

        y : array-like of shape (n_samples,) or (n_samples, n_conditions)
            Labels, or continuous conditions.

        groups : array-like of shape (n_samples,), default=None
            As in :meth:`fit`.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            As ``fit(X, y).transform(X)``: labels are inferred, as for new samples;
            continuous y is used as passed.
        """
        self.fit(X, y, groups=groups)
        return self.transform(X, y if isinstance(self._condition, Numbers) else None)

    def _make_dataset(self, X: np.ndarray, y) -> Dataset:
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None. Pass labels or numbers, one per sample, or use VAETransformer."
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
        return Dataset(X, condition=known.encode(y, len(y)))

    def _describe(self, dataset: Dataset, trained: Dataset) -> Statistics:
        return describe_given(dataset, self.n_components, trained, self._standardizes)

    # Inference.

    def transform(self, X, y=None):
        """Encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        y : array-like, default=None
            Label or number of each sample, or one for all. None infers labels.

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
            Codes, as returned by :meth:`transform`.

        y : array-like, default=None
            Label or number of each sample to decode, or one for all. None predicts
            labels by naive Bayes on the training codes, which is inaccurate where codes
            are independent of y, as they are trained to be.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Samples in the units of the training data, in the dtype of the codes.
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
            Label or number of each sample, or one for all. None infers labels.

        Returns
        -------
        X_reconstructed : ndarray of shape (n_samples, n_features)
            Reconstructions, in the dtype of X.
        """
        return self._map(code_basis.reconstruct, self._make_query(X, y))

    def posterior(self, X, y=None):
        """Posterior distribution of the codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        y : array-like, default=None
            Label or number of each sample, or one for all. None infers labels.

        Returns
        -------
        mean, deviation : ndarray of shape (n_samples, n_components)
            Mean and standard deviation of the posterior.
        """
        return self._moments(self._make_query(X, y))

    def score_samples(self, X, y=None):
        """Log-likelihood of each sample, in nats.

        Importance-weighted bound with ``n_importance_samples`` draws, as in
        :meth:`VAETransformer.score_samples`, under the prior of :meth:`sample`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        y : array-like, default=None
            Label or number of each sample, or one for all. With it the score is
            log p(x | y). Without it the score is log p(x), marginalised over labels by
            their frequency in the training data, and comparable with other densities.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Log-likelihoods. Higher is better.
        """
        check_is_fitted(self)
        X = self._validate(X)
        if y is None:
            return self._marginal(X)
        condition = self._condition.encode(y, X.shape[0])
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
        """Generate samples.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.

        y : label, number or array-like, default=None
            Condition of the samples: one for all or one each. None draws labels by their
            frequency in the training data.

        random_state : int, RandomState instance or None, default=None
            Seeds the draws.

        noise : bool, default=True
            Draw each sample from the decoder's distribution. False returns the decoder's
            means, which look smoother but have less variance than the data.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            Samples in the units of the training data.
        """
        return self._sample(n_samples, y, random_state, noise=noise)

    def _condition_of_samples(self, n_samples: int, y, random_state) -> np.ndarray:
        if y is None:
            self._need_labels("sample")
            y = random_state.choice(self.classes_, n_samples, p=self._condition.share)
        return self._condition.encode(y, n_samples)

    def translate(self, X, y_from, y_to):
        """Change the condition of samples and keep their codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        y_from : label, number or array-like
            Condition of X: one for all or one per sample. None infers labels.

        y_to : label, number or array-like
            Condition to decode with.

        Returns
        -------
        X_translated : ndarray of shape (n_samples, n_features)
            The codes of X, decoded with ``y_to``.
        """
        codes = self._encode(self._make_query(X, y_from))
        return self._decode(codes, self._condition.encode(y_to, len(codes)))

    def interpolate(self, X_from, X_to, n_steps=10, *, y=None):
        """Interpolate between samples along straight lines in the latent space.

        Parameters
        ----------
        X_from, X_to : array-like of shape (n_pairs, n_features)
            First and last samples of the paths.

        n_steps : int, default=10
            Number of samples on a path, both ends included.

        y : label, number or array-like, default=None
            Condition of all samples on each path. None infers the labels of both ends,
            and interpolates between these, too.

        Returns
        -------
        paths : ndarray of shape (n_pairs, n_steps, n_features)
            Decoded codes on the lines; the ends are the reconstructions of ``X_from``
            and ``X_to``.
        """
        return self._interpolate(
            self._make_query(X_from, y), self._make_query(X_to, y), n_steps
        )

    def traverse(self, component, values, at=None, *, y=None):
        """Decode codes in which one component is varied.

        Parameters
        ----------
        component : int
            Index of the component, from 0.

        values : array-like of shape (n_values,)
            Values of that component; the prior's standard deviation is 1.

        at : array-like of shape (n_samples, n_features), default=None
            Samples whose codes have the other components. None is the prior mean, 0.

        y : label, number or array-like, default=None
            Condition to decode with. None infers the labels of ``at``; without ``at`` it
            is required.

        Returns
        -------
        X : ndarray of shape (n_values, n_features) or (n_samples, n_values, n_features)
            Decoded codes; without ``at`` there is no axis of samples.
        """
        check_is_fitted(self)
        if at is not None:
            dataset = self._make_query(at, y)
            return self._traverse(
                component, values, self._encode(dataset), dataset.condition
            )
        if y is None:
            raise ValueError(
                "traverse requires y or at. Pass y, or samples as at=, whose labels are "
                "inferred."
            )
        condition = self._condition.encode(y, 1)
        return self._traverse(component, values, self._prior_mean(), condition)[0]

    def direction(self, X_from, X_to, *, y=None):
        """Difference of two groups' mean codes, for arithmetic in the latent space.

        Parameters
        ----------
        X_from, X_to : array-like of shape (n_samples, n_features)
            Samples without and with an attribute; their numbers may differ.

        y : label or number, default=None
            Condition of all samples. None infers labels.

        Returns
        -------
        direction : ndarray of shape (n_components,)
            Mean code of ``X_to`` minus that of ``X_from``.
        """
        return self._direction(self._make_query(X_from, y), self._make_query(X_to, y))

    def diagnose(self, X, y=None):
        """Diagnostics of the latent space and of sample quality.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, preferably held-out samples. Distances use at most 1,000 samples.

        y : array-like, default=None
            Condition of each sample; generated samples have the same conditions. None
            infers labels.

        Returns
        -------
        figures : Series
            As in :meth:`VAETransformer.diagnose`.
        """
        return self._figures(self._make_query(X, y))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
