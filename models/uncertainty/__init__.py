"""What is not known: scenarios of it, how far their probabilities may be wrong, and what that costs at worst."""

from cosim.models.uncertainty.ambiguity import Ambiguity, DualForm
from cosim.models.uncertainty.moment import MomentSet
from cosim.models.uncertainty.norm_ball import NormBall
from cosim.models.uncertainty.scenarios import Scenarios, reduced
from cosim.models.uncertainty.wasserstein import WassersteinBall

__all__ = ["Ambiguity", "DualForm", "MomentSet", "NormBall", "Scenarios", "WassersteinBall", "reduced"]
