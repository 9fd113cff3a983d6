"""Losses by which a student learns from a teacher.

The teacher's arguments are constants to the caller: no gradient is stopped here.

Shapes: B batch, A classes, D units (the student's and the teacher's may differ where it says so),
H W image, C channels.
"""

import chex
import jax
import jax.numpy as jnp
import optax


def divergence(student: jax.Array, teacher: jax.Array, temperature: float) -> jax.Array:
    """Returns T^2 KL(teacher || student) of softened probabilities (Hinton et al., 2015).

    Without T^2 the gradient would shrink with the temperature; with it, it tends to that of half
    the squared distance of zero-mean logits over A. A widely copied code also takes the mean over
    classes, which is A times too small.

    Args:
      student: logits [B, A].
      teacher: logits [B, A].
      temperature: T, positive; 1 for the probabilities themselves.

    Returns:
      [B].
    """
    chex.assert_rank([student, teacher], 2)
    chex.assert_equal_shape([student, teacher])
    expected, found = (jax.nn.log_softmax(z / temperature) for z in (teacher, student))
    return temperature**2 * (jnp.exp(expected) * (expected - found)).sum(-1)


def soft_and_hard(
    student: jax.Array,
    teacher: jax.Array,
    labels: jax.Array,
    *,
    temperature: float = 4.0,
    hard: float = 0.1,
) -> jax.Array:
    """Returns `hard` cross-entropy with the labels + (1 - `hard`) `divergence` (Hinton et al.).

    Args:
      student: logits [B, A].
      teacher: logits [B, A].
      labels: int [B].
      temperature: see `divergence`.
      hard: share of the labels, in [0, 1].

    Returns:
      [B].
    """
    own = optax.softmax_cross_entropy_with_integer_labels(student, labels)
    return hard * own + (1 - hard) * divergence(student, teacher, temperature)


def decoupled(
    student: jax.Array,
    teacher: jax.Array,
    labels: jax.Array,
    *,
    temperature: float = 4.0,
    target: float = 1.0,
    others: float = 8.0,
) -> jax.Array:
    """Weighs what the teacher says of the labelled class and of the others (Zhao et al., 2022).

    `divergence` is this with weights 1 and the probability that the teacher gives to all other
    classes together (equation 5).

    Args:
      student: logits [B, A].
      teacher: logits [B, A].
      labels: int [B].
      temperature: see `divergence`.
      target: weight of the divergence of "this class or another" (alpha).
      others: weight of the divergence among the other classes (beta).

    Returns:
      [B].
    """
    chex.assert_rank([student, teacher, labels], [2, 2, 1])
    own = jax.nn.one_hot(labels, student.shape[-1], dtype=bool)

    def parts(logits):
        logits = logits / temperature
        rest = jnp.where(own, -jnp.inf, logits)
        whole = jax.nn.logsumexp(logits, -1)
        pair = jnp.stack(
            [jnp.where(own, logits, 0).sum(-1) - whole, jax.nn.logsumexp(rest, -1) - whole], -1
        )
        # The labelled class has no part in the second: any finite number will do there.
        return pair, jnp.where(own, 0, logits - jax.nn.logsumexp(rest, -1)[:, None])

    (pair_t, rest_t), (pair_s, rest_s) = parts(teacher), parts(student)
    first = (jnp.exp(pair_t) * (pair_t - pair_s)).sum(-1)
    second = jnp.where(own, 0, jnp.exp(rest_t) * (rest_t - rest_s)).sum(-1)
    return temperature**2 * (target * first + others * second)


def virtual_teacher(labels: jax.Array, classes: int, *, right: float = 0.99) -> jax.Array:
    """Returns logits [B, A] of a teacher that is nearly always right (Yuan et al., 2020).

    It gives all other classes the same probability: to learn from it, without a temperature, is
    label smoothing (section 4 there).

    Args:
      labels: int [B].
      classes: A.
      right: probability of the label, between 1 / A and 1.
    """
    chex.assert_rank(labels, 1)
    wrong = (1 - right) / (classes - 1)
    return jnp.log(jnp.where(jax.nn.one_hot(labels, classes, dtype=bool), right, wrong))


def hint(student: jax.Array, teacher: jax.Array) -> jax.Array:
    """Returns the mean squared distance of features, [B] (Romero et al., 2015, equation 3).

    Args:
      student: [B, ...], after a regressor that gives it the teacher's shape.
      teacher: [B, ...].
    """
    chex.assert_equal_shape([student, teacher])
    return ((student - teacher) ** 2).reshape(len(student), -1).mean(-1)


def attention_transfer(student: jax.Array, teacher: jax.Array) -> jax.Array:
    """Compares where two networks are active (Zagoruyko and Komodakis, 2017, equation 2, p = 2).

    Args:
      student: [B, H, W, C].
      teacher: [B, H, W, C'], of the same height and width.

    Returns:
      [B], the mean squared distance of the maps of mean squared activations, each of norm 1.
    """
    chex.assert_rank([student, teacher], 4)
    chex.assert_equal_shape_prefix([student, teacher], 3)

    def attention(features):
        return _unit((features**2).mean(-1).reshape(len(features), -1))

    return ((attention(student) - attention(teacher)) ** 2).mean(-1)


def similarity_preserving(student: jax.Array, teacher: jax.Array) -> jax.Array:
    """Compares which examples two networks find alike (Tung and Mori, 2019, equation 4).

    Args:
      student: features [B, ...].
      teacher: features [B, ...], of any shape.

    Returns:
      [B]: their mean is the squared distance of the matrices of products, with rows of norm 1, over
      B^2.
    """

    def alike(features):
        flat = features.reshape(len(features), -1)
        return _unit(flat @ flat.T)

    return ((alike(student) - alike(teacher)) ** 2).mean(-1)


def relational_distance(student: jax.Array, teacher: jax.Array) -> jax.Array:
    """Compares the distances of pairs of examples, in units of their mean (Park et al., 2019).

    Args:
      student: features [B, D].
      teacher: features [B, D'].

    Returns:
      [B]: their mean is the Huber loss over all pairs (equations 6 and 7).
    """
    chex.assert_rank([student, teacher], 2)

    def distances(features):
        found = _norm(features[:, None] - features[None])
        return found * len(found) * (len(found) - 1) / found.sum()

    return _huber(distances(student) - distances(teacher)).mean(-1)


def relational_angle(student: jax.Array, teacher: jax.Array) -> jax.Array:
    """Compares the angles that triples of examples make (Park et al., 2019, equations 8 and 9).

    Args:
      student: features [B, D].
      teacher: features [B, D'].

    Returns:
      [B]: their mean is the Huber loss of the cosines over all triples; entry j is that of the
      angles at example j.
    """
    chex.assert_rank([student, teacher], 2)

    def cosines(features):
        sides = _unit(features[None] - features[:, None])
        return jnp.einsum("jid,jkd->jik", sides, sides)

    return _huber(cosines(student) - cosines(teacher)).mean((1, 2))


def _norm(values: jax.Array) -> jax.Array:
    """Returns the norm over the last axis; where it is 0, so is the gradient."""
    squares = (values**2).sum(-1)
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)


def _unit(values: jax.Array) -> jax.Array:
    return values / (_norm(values) + 1e-12)[..., None]


def _huber(values: jax.Array) -> jax.Array:
    return optax.huber_loss(values)
