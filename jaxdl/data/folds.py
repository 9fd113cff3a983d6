"""Which examples are learned from and which are held out: indices, as scikit-learn makes them."""

from collections.abc import Iterator

import numpy as np

Split = tuple[np.ndarray, np.ndarray]


def holdout(examples: int, share: float, seed: int) -> Split:
    """Divides examples at random once.

    Args:
      examples: how many there are.
      share: that is held out, in (0, 1), rounded up; at least one is left to learn from.
      seed: of the permutation.

    Returns:
      (train, held out): those of `sklearn.model_selection.ShuffleSplit(1, test_size=share)`.

    Raises:
      ValueError: nothing would be left.
    """
    count = int(np.ceil(share * examples))
    if not 0 < count < examples:
        raise ValueError(
            f"cannot hold out a share of {share} of {examples} examples: it must leave some"
        )
    order = np.random.RandomState(seed).permutation(examples)
    return order[count:], order[:count]


def k_fold(examples: int, folds: int, seed: int | None = None) -> Iterator[Split]:
    """Holds out each of `folds` parts in turn.

    Args:
      examples: how many there are.
      folds: parts, 2 to `examples`; the first ones are larger by one if they are not equal.
      seed: of a permutation before; None for none.

    Yields:
      (train, held out), both in rising order: those of `sklearn.model_selection.KFold`.

    Raises:
      ValueError: there are fewer examples than folds, or less than two folds.
    """
    if not 2 <= folds <= examples:
        raise ValueError(f"folds must be 2 to {examples}, the number of examples, got {folds}")
    order = np.arange(examples)
    if seed is not None:
        np.random.RandomState(seed).shuffle(order)
    for part in np.array_split(order, folds):
        held_out = np.zeros(examples, bool)
        held_out[part] = True
        yield np.flatnonzero(~held_out), np.flatnonzero(held_out)


def leave_one_out(examples: int) -> Iterator[Split]:
    """Holds out each example in turn, as `sklearn.model_selection.LeaveOneOut` does."""
    return k_fold(examples, examples)
