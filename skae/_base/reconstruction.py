"""What the classes with a reconstruction loss share."""

from torch import nn

from skae._base.estimator import BaseAutoencoder
from skae._data.dataset import Dataset
from skae._utils.sklearn_compat import StrOptions
from skae.losses import LOSSES, ReconstructionLoss


class ReconstructionAutoencoder(BaseAutoencoder):
    """Autoencoder with a parameter ``loss``. Abstract."""

    _likelihood_parameter = "loss"

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        "loss": [StrOptions(set(LOSSES))],
    }

    def _make_criterion(self, module: nn.Module) -> nn.Module:
        return ReconstructionLoss(self.loss, module.target_spread)

    def _describe_architecture(self, dataset: Dataset) -> dict:
        return {**super()._describe_architecture(dataset), "loss": self.loss}
