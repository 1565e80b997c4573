"""Variational autoencoder (VAE).

Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014.
"""

from skae._utils.docstrings import documented
from skae._variational.base import VariationalAutoencoder


@documented
class VAETransformer(VariationalAutoencoder):
    """Variational autoencoder (VAE, beta-VAE) with a Gaussian or Bernoulli decoder.

    Prefer it to :class:`AutoencoderTransformer` to generate synthetic data, for a latent
    space without gaps, or for log-likelihoods as scores, as those of
    :class:`sklearn.decomposition.PCA`, :class:`sklearn.mixture.GaussianMixture` and
    :class:`sklearn.neighbors.KernelDensity`. It maximises the evidence lower bound (ELBO)
    in nats, with reconstruction and KL divergence both summed over dimensions and the
    noise variance learned. The balance of the two terms depends neither on units nor on
    the number of features, so that neither scaling nor weighting is needed.

    Training is initialised at probabilistic PCA. Codes have a standard normal prior, do
    not depend on the units of X, and are ordered by their KL divergence. The encoder's
    last layer returns means and then log-variances, so that an ``encoder=`` builder is
    called with ``n_out = 2 * n_components``.

    Parameters
    ----------
    n_components : int, default=2
        Dimension of the latent representation. Components that the data do not need are
        switched off by the KL divergence.

    {variational}

    {parameters}

    Attributes
    ----------
    {variational_attributes}

    {attributes}

    See Also
    --------
    sklearn.decomposition.PCA : The linear case with ``noise="shared"``.
    sklearn.decomposition.FactorAnalysis : The linear case with ``noise="feature"``.

    References
    ----------
    Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014,
    https://arxiv.org/abs/1312.6114

    Higgins et al., "beta-VAE: learning basic visual concepts with a constrained
    variational framework", ICLR 2017, https://openreview.net/forum?id=Sy2fzU9gl

    Burda, Grosse & Salakhutdinov, "Importance weighted autoencoders", ICLR 2016,
    https://arxiv.org/abs/1509.00519

    Rybkin, Daniilidis & Levine, "Simple and effective VAE training with calibrated
    decoders", ICML 2021, https://arxiv.org/abs/2006.13202

    Kingma et al., "Improving variational inference with inverse autoregressive flow",
    NeurIPS 2016, https://arxiv.org/abs/1606.04934 (free bits)

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.decomposition import PCA
    >>> from skae import VAETransformer
    >>> X, _ = load_wine(return_X_y=True)
    >>> vae = VAETransformer(2, random_state=0).fit(X)
    >>> vae.transform(X).shape
    (178, 2)
    >>> vae.sample(3, random_state=0).shape
    (3, 13)
    >>> vae.score(X) > PCA(2).fit(X).score(X)
    True
    """

    def posterior(self, X):
        """Posterior distribution of the codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components)
            Means of the posterior, as :meth:`transform` returns them.

        deviation : ndarray of shape (n_samples, n_components)
            Standard deviations of the posterior, 1 for an inactive component.
        """
        return self._moments(self._make_query(X))

    def score_samples(self, X):
        """Log-likelihood of each sample, in nats.

        Importance-weighted bound with ``n_importance_samples`` draws, which rises to the
        exact value as their number grows, under the prior of :meth:`sample`: the standard
        normal, or the density ``prior_`` if one was fitted. The draws are the same for
        all samples and calls. With ``likelihood="gaussian"`` it is the log-density in the
        units of X, comparable with PCA's; features that were constant in training are
        ignored.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Log-likelihoods. Higher is better.
        """
        return self._evidence(self._make_query(X))

    def score(self, X, y=None):
        """Return the mean of :meth:`score_samples`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        score : float
            Mean log-likelihood, in nats. Higher is better.
        """
        return float(self.score_samples(X).mean())

    def sample(self, n_samples=1, *, random_state=None, noise=True):
        """Generate samples.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.

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
        return self._sample(n_samples, None, random_state, noise=noise)

    def diagnose(self, X):
        """Diagnostics of the latent space and of sample quality.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, preferably held-out samples. Distances use at most 1,000 samples.

        Returns
        -------
        figures : Series
            ``log_likelihood``, ``kl`` : mean, in nats.
            ``active_units`` : number of components whose mean has a variance above 0.01.
            ``code_use`` : variance of the reconstructions over that of X.
            ``coverage`` : share of X's neighbourhoods that contain a generated sample.
            ``reconstruction_coverage`` : the same for reconstructions of X.
            ``completeness`` : share of generated samples within a neighbourhood of X.
            ``interpolability`` : the same for midpoints between codes of X.
            ``continuity`` : change of the output per change of the code.
            From ``code_use`` on, features are standardised and samples without noise; a
            neighbourhood extends to the fifth nearest neighbour.
        """
        return self._figures(self._make_query(X))
