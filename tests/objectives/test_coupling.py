"""C2OT: its limits, its optimality, its search, and that it leaves the noise as it was drawn."""

import itertools

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.errors import ConfigError
from mfpolicy.objectives import ConditionalVelocity
from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.coupling import Coupling
from oracles.gaussian import Gaussian, GaussianNetwork

MU, SIGMA = 0.3, 0.4
ORACLE = Gaussian(MU, SIGMA)


def _normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _network(condition: torch.Tensor) -> ConditionalVelocity:
    return ConditionalVelocity(GaussianNetwork(SIGMA), condition[:, :1], condition=condition)


def _order(e: torch.Tensor, paired: torch.Tensor) -> list[int]:
    """Which row of ``e`` each row of ``paired`` is; every row must be there once."""
    order = [int((e == row).flatten(1).all(dim=1).nonzero()) for row in paired]
    assert sorted(order) == list(range(len(e)))
    return order


def _share(e: torch.Tensor, x: torch.Tensor, cost: torch.Tensor) -> float:
    """Share of pairs that cost no more than what the row's own noise costs."""
    own = (e - x).square().flatten(1).sum(dim=1)
    return float((cost <= own[:, None]).double().mean())


@pytest.mark.parametrize("distance", ["cosine", "squared"])
def test_with_an_overwhelming_weight_distinct_conditions_keep_their_noise(distance):
    x, e = _normal(40, 3, 2), _normal(40, 3, 2, seed=1)
    coupling = Coupling(kind="c2ot", weight=1e8, distance=distance)
    assert torch.equal(coupling.pair(_network(_normal(40, 8, seed=2)), x, e), e)


def test_without_a_weight_it_is_optimal_transport():
    """In one dimension that is the monotone pairing, whatever the condition."""
    x, e = _normal(60, 1, 1), _normal(60, 1, 1, seed=1)
    for velocity in (_network(_normal(60, 8, seed=2)), ORACLE):
        paired = Coupling(kind="c2ot", weight=0.0).pair(velocity, x, e)
        assert torch.equal(paired.flatten().argsort(), x.flatten().argsort())
        assert not torch.equal(paired, e)


def test_the_assignment_is_the_cheapest_there_is():
    x, e, c = _normal(6, 3, 2), _normal(6, 3, 2, seed=1), _normal(6, 4, seed=2)
    weight = 2.5
    paired = Coupling(kind="c2ot", weight=weight, distance="squared").pair(_network(c), x, e)

    def cost(order) -> float:
        return sum(
            float((x[j] - e[i]).square().sum() + weight * (c[j] - c[i]).square().sum())
            for j, i in enumerate(order)
        )

    found = cost(_order(e, paired))
    assert found == pytest.approx(min(map(cost, itertools.permutations(range(6)))))
    assert found <= cost(range(6))


@pytest.mark.parametrize("weight", [0.0, 1.0, 30.0, None])
def test_pairs_lie_closer_than_as_drawn(weight):
    x, e, c = _normal(64, 4, 2), _normal(64, 4, 2, seed=1), _normal(64, 8, seed=2)
    paired = Coupling(kind="c2ot", weight=weight).pair(_network(c), x, e)
    assert (paired - x).square().sum() < (e - x).square().sum()
    assert len(_order(e, paired)) == 64


@pytest.mark.parametrize("ratio", [0.05, 0.2, 0.4])
@pytest.mark.parametrize("distance", ["cosine", "squared"])
def test_the_weight_that_is_found_leaves_the_ratio_open(distance, ratio):
    """The weight is recovered from the pairing: any other in a fine grid pairs differently."""
    x, e, c = _normal(100, 4, 2), _normal(100, 4, 2, seed=1), _normal(100, 8, seed=2)
    squares = (x[:, None] - e[None]).square().flatten(2).sum(dim=2)
    if distance == "cosine":
        apart = 1 - torch.nn.functional.cosine_similarity(c[:, None], c[None], dim=2)
    else:
        apart = (c[:, None] - c[None]).square().sum(dim=2)
    grid = torch.logspace(-4, 4, 4001, dtype=torch.float64).tolist()
    weight = min(grid, key=lambda w: abs(_share(e, x, squares + w * apart) - ratio))
    assert _share(e, x, squares + weight * apart) == pytest.approx(ratio, abs=2e-3)
    found, fixed = (
        Coupling(kind="c2ot", weight=w, ratio=ratio, distance=distance).pair(_network(c), x, e)
        for w in (None, weight)
    )
    same = sum(a == b for a, b in zip(_order(e, found), _order(e, fixed), strict=True))
    assert same >= 95
    assert _order(e, found) != list(range(100))


def _clusters(weight: float, batches: int = 30, rows: int = 128) -> list[torch.Tensor]:
    """Noise that goes with either of two clusters at ±2, each under a condition of its own."""
    coupling, seen = Coupling(kind="c2ot", weight=weight), ([], [])
    for batch in range(batches):
        label = torch.rand(rows, generator=torch.Generator().manual_seed(batch)) < 0.5
        condition = torch.stack([label, ~label], dim=1).double()
        x = per_row(4.0 * label - 2, torch.zeros(rows, 1, 1)) + 0.1 * _normal(rows, 1, 1, seed=7)
        paired = coupling.pair(_network(condition), x, _normal(rows, 1, 1, seed=100 + batch))
        seen[0].append(paired[~label])
        seen[1].append(paired[label])
    return [torch.cat(part).flatten() for part in seen]


def test_given_the_condition_the_noise_is_as_it_was_drawn():
    for e in _clusters(1e6):
        error = len(e) ** -0.5
        assert e.mean().abs() < 4 * error
        assert float(e.var()) == pytest.approx(1, abs=4 * 2**0.5 * error)


def test_plain_transport_skews_the_noise_given_the_condition():
    """Each cluster takes its half of the normal: means of ∓√(2/π), variance 1 − 2/π."""
    low, high = _clusters(0.0)
    assert float(low.mean()) == pytest.approx(-0.798, abs=0.05)
    assert float(high.mean()) == pytest.approx(0.798, abs=0.05)
    assert float(high.var()) == pytest.approx(0.363, abs=0.05)


def test_like_conditions_share_their_noise_optimally():
    label = torch.arange(20) % 2
    x, e = _normal(20, 1, 1), _normal(20, 1, 1, seed=1)
    condition = torch.nn.functional.one_hot(label).double()
    paired = Coupling(kind="c2ot", weight=1e8).pair(_network(condition), x, e)
    for part in (0, 1):
        rows = label == part
        assert torch.equal(paired[rows].flatten().argsort(), x[rows].flatten().argsort())
        assert torch.equal(paired[rows].flatten().sort()[0], e[rows].flatten().sort()[0])


def test_optimal_transport_shortens_the_lines_to_the_distance_of_both_distributions():
    """E (e − x)² falls from μ² + 1 + σ² to μ² + (1 − σ)², so v is known from z_t alone."""
    x = ORACLE.sample((1000, 1, 1), torch.Generator().manual_seed(0))
    for coupling, expected in ((None, 1 + SIGMA**2), ({"kind": "c2ot"}, (1 - SIGMA) ** 2)):
        objective = objectives.build("flow_matching", coupling=coupling)
        at = objective.draw(ORACLE, x, torch.Generator().manual_seed(1))
        assert float(at.v.square().mean()) == pytest.approx(MU**2 + expected, rel=0.1)


@pytest.mark.parametrize("name", ["meanflow", "flow_matching", "alpha_flow"])
def test_chunks_and_times_stay_in_their_rows(name):
    x = ORACLE.sample((50, 1, 1), torch.Generator().manual_seed(0))
    velocity = _network(_normal(50, 8, seed=2))
    plain, coupled = (
        objectives.build(name, coupling={"kind": kind}).draw(
            velocity, x, torch.Generator().manual_seed(1)
        )
        for kind in ("independent", "c2ot")
    )
    assert torch.equal(plain.t, coupled.t)
    assert torch.equal(plain.r, coupled.r)
    torch.testing.assert_close(coupled.z - per_row(coupled.t, x) * coupled.v, x)
    e = coupled.z + per_row(1 - coupled.t, x) * coupled.v
    drawn = plain.z + per_row(1 - plain.t, x) * plain.v
    torch.testing.assert_close(e.flatten().sort()[0], drawn.flatten().sort()[0])
    assert not torch.allclose(e, drawn)


def test_the_pairing_carries_no_graph_and_is_the_same_again():
    condition = _normal(30, 8, seed=2).requires_grad_()
    x, e = _normal(30, 3, 2).float(), _normal(30, 3, 2, seed=1).float()
    coupling = Coupling(kind="c2ot")
    paired = coupling.pair(_network(condition), x, e)
    assert not paired.requires_grad
    assert paired.dtype == torch.float32
    assert torch.equal(paired, coupling.pair(_network(condition), x, e))


def test_new_noise_on_the_way_is_for_independent_pairs_alone():
    noise = _normal(5, 1, 1)
    with pytest.raises(ConfigError, match="steps of this FlowAnchoredConsistency must be 1"):
        objectives.build("flow_anchored_consistency", coupling={"kind": "c2ot"}).sample(
            ORACLE, noise, 2
        )
    for options in ({"sampler": "euler", "coupling": {"kind": "c2ot"}}, {"sampler": "renoise"}):
        objective = objectives.build("flow_anchored_consistency", **options)
        assert objective.sample(ORACLE, noise, 2).shape == noise.shape


def test_ddim_couples_its_noise_as_well():
    x = ORACLE.sample((40, 1, 1), torch.Generator().manual_seed(0))
    seen = []

    def watch(z, r, t):
        seen.append((z, t))
        return z

    objective = objectives.build("ddim", coupling={"kind": "c2ot"})
    objective.loss(watch, x, torch.Generator().manual_seed(1))
    ((z, t),) = seen
    signal = per_row(objective.levels[(100 * t).round().long()], x)
    e = (z - signal.sqrt() * x) / (1 - signal).sqrt()
    drawn = _normal(40, 1, 1, seed=1)
    torch.testing.assert_close(e.flatten().sort()[0], drawn.flatten().sort()[0])
    assert torch.equal(e.flatten().argsort(), x.flatten().argsort())


@pytest.mark.parametrize(
    ("rows", "options", "conditional", "message"),
    [
        (1, {}, False, "needs a batch of at least 2 rows"),
        (1, {"weight": 1.0}, True, "needs a batch of at least 2 rows"),
        (4, {}, True, "coupling.ratio=0.2 needs a batch of at least 5 rows"),
        (30, {"ratio": 0.03}, True, "coupling.ratio=0.03 needs a batch of at least 34 rows"),
    ],
)
def test_a_batch_too_small_is_refused(rows, options, conditional, message):
    velocity = _network(_normal(rows, 8, seed=2)) if conditional else ORACLE
    objective = objectives.build("meanflow", coupling={"kind": "c2ot", **options})
    with pytest.raises(ConfigError, match=message):
        objective.loss(velocity, torch.zeros(rows, 1, 1, dtype=torch.float64))


def test_the_smallest_batch_that_will_do_is_taken():
    velocity = _network(_normal(5, 8, seed=2))
    paired = Coupling(kind="c2ot").pair(velocity, _normal(5, 1, 1), _normal(5, 1, 1, seed=1))
    assert paired.shape == (5, 1, 1)
