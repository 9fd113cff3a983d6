from jaxdl.ops.landscapes import rosenbrock


def test_rosenbrocks_valley():
    assert rosenbrock((1.0, 1.0)) == 0
    assert rosenbrock((-1.0, 1.0)) == 4
    assert rosenbrock((0.0, 1.0)) == 101
