"""What every regression of an average velocity must do: a new one is tested by existing."""

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.objectives import AverageVelocityObjective, ConditionalVelocity
from oracles.draws import MU, SIGMA, assert_no_mean, curved, draw, taught, weights
from oracles.gaussian import Gaussian, GaussianNetwork

ORACLE = Gaussian(MU, SIGMA)
HEADS = [
    name
    for name in objectives.names()
    if issubclass(objectives.OBJECTIVES.get(name), AverageVelocityObjective)
]
GUIDED = [name for name in HEADS if "guidance" in objectives.OBJECTIVES.options(name)]
PLAIN = {"weighting": {"power": 0.0}}


def _build(name: str, *, progress: float = 1.0, **options) -> AverageVelocityObjective:
    """At the end of any curriculum, where the loss is what it is to be."""
    objective = objectives.build(name, **options)
    assert isinstance(objective, AverageVelocityObjective)
    objective.progress = progress
    return objective


def _exact(name: str) -> AverageVelocityObjective:
    """Without what moves the target on purpose, so that it is the average velocity itself."""
    plain = {
        "flow_anchored_consistency": {"clip": None},
        "shortcut": {"clip": 100.0, "time": {"grid": 2**16}},  # its smallest steps stand for r = t
    }
    return _build(name, **plain.get(name, {}))


@pytest.mark.parametrize("name", HEADS)
def test_the_oracle_is_a_fixed_point(name):
    """On the oracle the target's residual is pure noise: no mean, given z, at any time."""
    z, r, t, v = draw(20_000)
    objective = _exact(name)
    residual = objective.target(ORACLE, z, r, t, v, torch.Generator().manual_seed(1)).detach()
    residual = residual - ORACLE(z, r, t)
    for low, high in ((0.05, 0.4), (0.4, 0.7), (0.7, 1)):
        rows = (t >= low) & (t < high)
        assert_no_mean(residual[rows], given=z[rows])


@pytest.mark.parametrize("name", ["split_meanflow", "shortcut"])
def test_a_target_of_own_parts_has_no_noise(name):
    z, r, t, v = draw(500)
    target = _exact(name).target(ORACLE, z, r, t, v)
    torch.testing.assert_close(target, ORACLE(z, r, t), rtol=0, atol=1e-4)


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", HEADS)
def test_where_r_is_t_the_target_is_the_sampled_velocity(name, progress):
    z, r, t, v = draw(50)
    r[::2] = t[::2]
    network = ConditionalVelocity(GaussianNetwork(SIGMA), torch.full((50, 1), MU).double())
    for velocity in (ORACLE, network):
        target = _build(name, progress=progress).target(velocity, z, r, t, v)
        assert torch.equal(target[::2], v[::2])


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", [name for name in HEADS if name != "split_meanflow"])
def test_a_network_and_a_closed_form_get_the_same_target(name, progress):
    z, r, t, v = draw(60)
    r[::3] = t[::3]
    network = ConditionalVelocity(GaussianNetwork(SIGMA), torch.full((60, 1), MU).double())
    objective = _build(name, progress=progress)
    torch.testing.assert_close(
        objective.target(network, z, r, t, v), objective.target(ORACLE, z, r, t, v)
    )


@pytest.mark.parametrize("name", HEADS)
def test_on_rows_with_r_equal_t_the_gradient_is_flow_matchings(name):
    share = {"shortcut": {"p_bootstrap": 0.0}, "flow_anchored_consistency": {}}
    options = {"time": share.get(name, {"p_equal": 1.0}), **PLAIN}
    if name == "flow_anchored_consistency":
        options["cosine"] = 0.0
    if name == "rectified_meanflow":
        options["pairs"] = {"kept": 1.0}
    objective = _build(name, **options)
    x = ORACLE.sample((300, 1, 1), torch.Generator().manual_seed(0))
    weight = weights()
    velocity = taught(curved(weight))
    loss, _ = objective.loss(velocity, x, torch.Generator().manual_seed(5))
    at = objective.draw(velocity, x, torch.Generator().manual_seed(5))
    flow_matching = (velocity(at.z, at.t, at.t) - at.v).square().mean()
    if name == "flow_anchored_consistency":
        objective.anchor = 0.0
        flow_matching += objective.loss(velocity, x, torch.Generator().manual_seed(5))[0]
    torch.testing.assert_close(loss, flow_matching)
    found, expected = (torch.autograd.grad(value, weight)[0] for value in (loss, flow_matching))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", HEADS)
def test_the_target_is_held_fixed(name, progress):
    if name == "modular_meanflow":
        progress = 0.0  # later its derivative is let through, which is its idea
    z, r, t, v = draw(40)
    weight = weights()
    target = _build(name, progress=progress).target(curved(weight), z, r, t, v)
    assert not target.requires_grad


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", HEADS)
def test_the_gradient_is_that_of_the_loss_with_the_target_frozen(name, progress):
    """Finite differences of the loss, with the parameters moved only where a graph is kept."""
    if name == "modular_meanflow":
        progress = 0.0
    objective = _build(name, progress=progress, **PLAIN)
    x = ORACLE.sample((200, 1, 1), torch.Generator().manual_seed(0))
    frozen = weights().detach()

    def loss(weight: torch.Tensor) -> torch.Tensor:
        def velocity(z, r, t):
            return curved(weight if torch.is_grad_enabled() else frozen)(z, r, t)

        return objective.loss(taught(velocity), x, torch.Generator().manual_seed(5))[0]

    weight = weights()
    (gradient,) = torch.autograd.grad(loss(weight), weight)
    for index in range(len(frozen)):
        step = torch.zeros_like(frozen)
        step[index] = 1e-5
        slope = (loss(frozen + step) - loss(frozen - step)) / 2e-5
        torch.testing.assert_close(slope, gradient[index], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", HEADS)
def test_a_networks_hidden_features_are_spread(name):
    class Watching(GaussianNetwork):
        def features(self, z, r, t, prepared):
            return super().features(z, r, t, prepared)[0], [prepared * z.flatten(1)]

    x = ORACLE.sample((30, 1, 1), torch.Generator().manual_seed(0))
    prepared = torch.linspace(0, 1, 30, dtype=x.dtype)[:, None].requires_grad_()
    velocity = ConditionalVelocity(Watching(SIGMA), prepared, teacher=ORACLE)
    plain, _ = _build(name).loss(velocity, x, torch.Generator().manual_seed(5))
    objective = _build(name, dispersive={"kind": "info_nce_l2", "weight": 2.0})
    loss, diagnostics = objective.loss(velocity, x, torch.Generator().manual_seed(5))
    assert diagnostics["dispersive"] != 0
    torch.testing.assert_close(loss, plain + 2.0 * diagnostics["dispersive"])


@pytest.mark.parametrize("name", GUIDED)
def test_rows_without_their_condition_train_the_null_branch(name):
    x = ORACLE.sample((64, 1, 1), torch.Generator().manual_seed(0))
    null = torch.full((1, 1), -0.7, dtype=x.dtype, requires_grad=True)
    velocity = ConditionalVelocity(
        GaussianNetwork(SIGMA), torch.full((64, 1), MU).double(), null=null, teacher=ORACLE
    )
    objective = _build(name, guidance={"kind": "cfg", "omega": 2.0, "drop": 0.2})
    assert objective.needs_null
    loss, _ = objective.loss(velocity, x, torch.Generator().manual_seed(5))
    (gradient,) = torch.autograd.grad(loss, null)
    assert gradient.abs() > 0
