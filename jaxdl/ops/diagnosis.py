"""What the curves of training and validation loss say, by the notes' five rules.

Shapes: N points of a curve.
"""

import math
from typing import Literal, NamedTuple

import numpy as np

Direction = Literal["falls", "is level", "rises"]

RULES: dict[tuple[Direction, Direction], tuple[str, str]] = {
    ("falls", "falls"): ("learning", "go on training"),
    ("falls", "rises"): (
        "overfitting",
        "more or augmented data, regularisation, a smaller network, or stop at the lowest "
        "validation loss",
    ),
    ("is level", "is level"): (
        "stuck",
        "a smaller learning rate or batch; if both losses are high, a larger network",
    ),
    ("is level", "falls"): (
        "wrong data",
        "look at the data: training and validation sets may be swapped, overlap or be labelled "
        "wrongly",
    ),
    ("rises", "rises"): (
        "diverging",
        "a smaller learning rate, then the design of the network and the data",
    ),
}
"""By the directions of training and validation loss: what it is, and what to try."""

NO_RULE = ("no rule", "train on and look again: these directions are none of the five rules")
"""For all other pairs of directions."""


class Diagnosis(NamedTuple):
    """What two curves say."""

    name: str
    """`learning`, `overfitting`, `stuck`, `wrong data`, `diverging` or `no rule`."""
    advice: str
    """What to try."""
    confidence: float
    """Probability in [0, 1] that both curves go as the rule says, given their scatter."""
    train: dict[Direction, float]
    """Probability of each direction of the training loss."""
    valid: dict[Direction, float]
    """Probability of each direction of the validation loss."""


def diagnose(
    train: tuple[np.ndarray, np.ndarray],
    valid: tuple[np.ndarray, np.ndarray],
    *,
    part: float = 0.5,
    level: float = 0.05,
) -> Diagnosis:
    """Finds the rule that fits the last part of two curves best.

    Args:
      train: (steps [N], training losses [N]), in the order of the steps.
      valid: the same of the validation losses, on any steps.
      part: the share of the steps, counted from the end, that is looked at.
      level: the relative change over that part up to which a curve counts as level.

    Raises:
      ValueError: a curve has fewer than three points in that part, or a loss is not finite.
    """
    last = max(train[0][-1], valid[0][-1]) if len(train[0]) and len(valid[0]) else 0
    chances = []
    for name, (steps, losses) in (("training", train), ("validation", valid)):
        steps, losses = np.asarray(steps, float), np.asarray(losses, float)
        recent = steps >= (1 - part) * last
        if recent.sum() < 3:
            raise ValueError(
                f"the last {part:.0%} of the run has {recent.sum()} {name} losses; at least 3 are "
                "needed: validate or log more often"
            )
        if not np.isfinite(losses).all():
            raise ValueError(f"a {name} loss is not finite")
        chances.append(_directions(steps[recent], losses[recent], level))
    fits = {rule: chances[0][rule[0]] * chances[1][rule[1]] for rule in RULES}
    best = max(fits, key=lambda rule: fits[rule])
    if (other := 1 - sum(fits.values())) > fits[best]:
        return Diagnosis(*NO_RULE, other, *chances)
    return Diagnosis(*RULES[best], fits[best], *chances)


def _directions(steps: np.ndarray, losses: np.ndarray, level: float) -> dict[Direction, float]:
    """Returns the probability of each direction, by a straight line and the scatter around it."""
    place = (steps - steps.mean()) / np.ptp(steps)
    slope = (place * losses).sum() / (place**2).sum()
    rest = losses - losses.mean() - slope * place
    error = math.sqrt((rest**2).sum() / (len(losses) - 2) / (place**2).sum())
    scale = abs(losses).mean() + 1e-12
    change, error = slope / scale, error / scale + 1e-9

    def below(limit):
        return 0.5 * (1 + math.erf((limit - change) / error / math.sqrt(2)))

    falls, not_rising = below(-level), below(level)
    return {"falls": falls, "is level": not_rising - falls, "rises": 1 - not_rising}
