import numpy as np
import pytest
from sklearn import model_selection

from jaxdl.data import folds


@pytest.mark.parametrize(("examples", "count"), [(10, 5), (11, 3), (7, 7)])
@pytest.mark.parametrize("seed", [None, 3])
def test_k_folds_are_scikit_learns(examples, count, seed):
    theirs = model_selection.KFold(count, shuffle=seed is not None, random_state=seed)
    parts = list(folds.k_fold(examples, count, seed))
    for ours, expected in zip(parts, theirs.split(np.zeros(examples)), strict=True):
        np.testing.assert_array_equal(ours[0], expected[0])
        np.testing.assert_array_equal(ours[1], expected[1])
    # Every example is held out once: N / K of them in a fold, one more in the first ones.
    assert sorted(np.concatenate([held_out for _, held_out in parts])) == list(range(examples))


def test_leave_one_out_and_holdout_are_scikit_learns():
    theirs = model_selection.LeaveOneOut().split(np.zeros(4))
    for ours, expected in zip(folds.leave_one_out(4), theirs, strict=True):
        np.testing.assert_array_equal(np.concatenate(ours), np.concatenate(expected))
    split = model_selection.ShuffleSplit(1, test_size=0.15, random_state=5)
    [(train, test)] = split.split(np.zeros(33))
    ours = folds.holdout(33, 0.15, 5)
    np.testing.assert_array_equal(ours[0], train)
    np.testing.assert_array_equal(ours[1], test)


@pytest.mark.parametrize("count", [1, 11])
def test_wrong_numbers_are_refused(count):
    with pytest.raises(ValueError, match="folds must be 2 to 10"):
        list(folds.k_fold(10, count))
    with pytest.raises(ValueError, match="must leave some"):
        folds.holdout(10, 1.0, 0)
