"""How the experts of Adroit are built: the same physics, exact products, a build that goes on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import envs
from envs.experts.network import NetworkExpert
from envs.experts.training import episodes as episodes_module
from envs.experts.training.build import build
from envs.experts.training.episodes import Episode, ValueFunction, run
from envs.experts.training.natural_gradient import (
    StepSettings,
    Weighted,
    _conjugate_gradient,
    _fisher_product,
    natural_step,
)
from envs.experts.training.planner import Planner, PlannerSettings
from envs.experts.training.policy import GaussianPolicy, imitate
from envs.experts.training.recipes import RECIPES, Recipe
from envs.experts.training.rewards import REWARDS
from envs.experts.training.scene import Scene

TASKS = sorted(REWARDS)
SMALL = Recipe(
    PlannerSettings(samples=4, lookahead=4, knots=2, execute=4),
    demonstrations=0,
    episodes=2,
    iterations=4,
    choose_every=2,
    choose_episodes=2,
)


def _policy(observation_dim: int = 5, action_dim: int = 3, seed: int = 0) -> GaussianPolicy:
    torch.manual_seed(seed)
    return GaussianPolicy(np.zeros(observation_dim), np.ones(observation_dim), action_dim, width=6)


def _random_expert(scene: Scene, seed: int = 0) -> NetworkExpert:
    torch.manual_seed(seed)
    size = len(scene.observe())
    return NetworkExpert(
        GaussianPolicy(np.zeros(size), np.ones(size), scene.action_dim, width=8).arrays()
    )


@pytest.mark.parametrize("task", TASKS)
def test_a_scene_is_the_environment_it_trains_for(task: str) -> None:
    scene, simulation = Scene(task), envs.open_simulation(f"adroit/{task}")
    assert scene.horizon == envs.spec(f"adroit/{task}").horizon
    assert scene.action_dim == envs.spec(f"adroit/{task}").action_dim
    rng = np.random.default_rng(1)
    for seed in (3, 4):
        scene.reset(seed)
        simulation.reset(seed)
        for _ in range(15):
            np.testing.assert_array_equal(scene.observe(), simulation.full_state())
            action = rng.uniform(-1, 1, scene.action_dim).astype(np.float32)
            scene.step(action)
            outcome = simulation.step(action)
            assert bool(scene.reward.goal(scene.signals())) == outcome.success
    simulation.close()


@pytest.mark.parametrize("task", TASKS)
def test_the_goal_is_reached_where_a_reward_is_highest(task: str) -> None:
    scene = Scene(task)
    scene.reset(0)
    signals = {name: np.array(value) for name, value in scene.signals().items()}
    before = scene.reward.reward(signals)
    assert not scene.reward.goal(signals)
    if task == "door":
        signals["qpos"][-2] = 1.5
    elif task == "hammer":
        signals["nail"] = signals["nail_goal"]
    elif task == "pen":
        signals["target_top"], signals["target_bottom"] = signals["top"], signals["bottom"]
    else:
        held = ("object", "palm", *(name for name in signals if name.endswith("_tip")))
        signals.update(dict.fromkeys(held, signals["target"]))
    assert scene.reward.goal(signals)
    assert scene.reward.reward(signals) > before + 1


@pytest.mark.parametrize("task", TASKS)
def test_a_planned_rollout_is_rewarded_like_the_steps_it_foretells(task: str) -> None:
    scene = Scene(task)
    scene.reset(2)
    planner = Planner(scene, PlannerSettings(lookahead=6, knots=3, effort=0.0))
    plan = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 6, scene.action_dim))
    foretold = planner._returns(plan, np.zeros(scene.action_dim))[0]
    rewards = []
    for action in plan[0]:
        scene.step(action)
        rewards.append(scene.reward.reward(scene.signals()))
    assert foretold == pytest.approx(np.mean(rewards), abs=1e-5)


def test_planning_pays() -> None:
    scene = Scene("door")
    planner = Planner(scene, PlannerSettings(samples=16, lookahead=10, knots=3))
    scene.reset(0)
    rng = np.random.default_rng(0)
    still = np.zeros((3, scene.action_dim))
    better = planner._replan(still, still[0], rng)
    plans = np.stack([planner._from_knots @ still, planner._from_knots @ better])
    nothing, planned = planner._returns(plans, still[0])
    assert planned > nothing


def test_a_fisher_product_is_the_curvature_of_the_divergence() -> None:
    policy = _policy().double()
    rows = torch.randn(20, 5, dtype=torch.float64)
    names = [name for name, _ in policy.named_parameters()]
    parameters = [parameter for _, parameter in policy.named_parameters()]
    start = torch.nn.utils.parameters_to_vector(parameters).detach()
    mean, log_std = policy(rows).detach(), policy.log_std.detach().clone()

    def divergence(flat: torch.Tensor) -> torch.Tensor:
        parts = flat.split([parameter.numel() for parameter in parameters])
        weights = {
            name: part.view_as(parameter)
            for name, part, parameter in zip(names, parts, parameters, strict=True)
        }
        moved = torch.func.functional_call(policy, weights, (rows,))
        ratio = torch.exp(2 * (log_std - weights["log_std"]))
        shift = (moved - mean).square() * torch.exp(-2 * weights["log_std"])
        return (0.5 * (ratio - 1 - ratio.log() + shift)).sum(1).mean()

    hessian = torch.autograd.functional.hessian(divergence, start)
    vector = torch.randn_like(start)
    product = _fisher_product(policy, names, rows, damping=0.0)(vector)
    torch.testing.assert_close(product, hessian @ vector, rtol=1e-8, atol=1e-10)


def test_conjugate_gradients_solve() -> None:
    torch.manual_seed(0)
    root = torch.randn(8, 8, dtype=torch.float64)
    matrix = root @ root.T + torch.eye(8)
    target = torch.randn(8, dtype=torch.float64)
    solved = _conjugate_gradient(lambda v: matrix @ v, target, 8)
    torch.testing.assert_close(solved, torch.linalg.solve(matrix, target))


def test_a_step_goes_as_far_as_asked_and_makes_good_actions_likelier() -> None:
    policy = _policy()
    observations, actions = torch.randn(500, 5), torch.randn(500, 3) * 0.3
    weights = actions[:, 0] / actions[:, 0].std()  # a larger first action is better
    before = policy(observations).detach()[:, 0].mean()
    reached = natural_step(policy, Weighted(observations, actions, weights), StepSettings(kl=0.01))
    assert reached == pytest.approx(0.01, rel=0.3)
    assert policy(observations).detach()[:, 0].mean() > before + 0.01


def test_exploration_never_falls_below_its_least() -> None:
    policy = _policy()
    with torch.no_grad():
        policy.log_std.fill_(-9.0)
    policy.bound_std()
    np.testing.assert_allclose(policy.std, 0.08, rtol=1e-6)


def test_imitation_finds_a_law_that_is_there() -> None:
    policy = _policy()
    observations = torch.randn(2000, 5)
    actions = 0.5 * torch.tanh(observations[:, :3])
    error = imitate(policy, observations, actions, epochs=30, seed=0)
    assert error < 0.1 * actions.var().item()


def test_advantages_are_discounted_sums_of_temporal_differences() -> None:
    """Against the definition (Schulman et al., 2016, eq. 16), before normalisation."""
    torch.manual_seed(0)
    value = ValueFunction(np.zeros(2), np.ones(2), 4, discount=0.9, trace=0.8)
    rng = np.random.default_rng(0)
    batch = [
        Episode(rng.normal(size=(4, 2)), np.zeros((4, 1)), rng.normal(size=4), np.zeros(4, bool))
        for _ in range(3)
    ]
    expected = []
    for episode in batch:
        with torch.no_grad():
            v = value.network(value._inputs(episode.observations))[:, 0].numpy()
        delta = episode.rewards + 0.9 * np.append(v[1:], v[-1]) - v
        expected += [sum(0.72**k * delta[t + k] for k in range(4 - t)) for t in range(4)]
    expected_array = np.array(expected)
    normalised = (expected_array - expected_array.mean()) / expected_array.std()
    np.testing.assert_allclose(value.advantages(batch), normalised, atol=1e-5)


def test_an_episode_depends_on_its_seed_alone() -> None:
    scene = Scene("door")
    expert, std = _random_expert(scene), np.full(scene.action_dim, 0.2)
    first = run(scene, expert, 5, std, noise_seed=1)
    run(scene, expert, 6, std)
    again = run(scene, expert, 5, std, noise_seed=1)
    np.testing.assert_array_equal(first.observations, again.observations)
    np.testing.assert_array_equal(first.actions, again.actions)
    for other in (run(scene, expert, 5), run(scene, expert, 5, std, noise_seed=2)):
        assert not np.array_equal(first.actions, other.actions)


def test_a_build_that_was_stopped_gives_the_expert_of_one_that_was_not(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scene, "horizon", property(lambda self: 6))
    # A goal at the last step of any plan, so that few steps suffice to have demonstrations.
    goal = replace(REWARDS["pen"], goal=lambda s: s["object"][..., 2] > -1)
    monkeypatch.setitem(REWARDS, "pen", goal)  # type: ignore[arg-type]
    recipe = replace(SMALL, demonstrations=2)
    lines: list[str] = []
    whole = build("pen", recipe, tmp_path / "whole", cpu_hours=1, report=lines.append)

    calls = 0
    simulate = episodes_module.run

    def stopped(*arguments: object, **options: object) -> Episode:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return simulate(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("envs.experts.training.build.run", stopped)
    with pytest.raises(KeyboardInterrupt):
        build("pen", recipe, tmp_path / "stopped", cpu_hours=1, report=lines.append)
    monkeypatch.setattr("envs.experts.training.build.run", simulate)
    resumed = build("pen", recipe, tmp_path / "stopped", cpu_hours=1, report=lines.append)
    with np.load(whole) as a, np.load(resumed) as b:
        assert set(a.files) == set(b.files)
        for name in set(a.files) - {"meta"}:
            np.testing.assert_array_equal(a[name], b[name])
    assert NetworkExpert.load(resumed).meta["task"] == "adroit/pen"
    assert any(line.startswith("iteration 4") for line in lines)


def test_every_adroit_task_has_a_recipe() -> None:
    adroit = {task.name.partition("/")[2] for task in envs.tasks() if task.suite == "adroit"}
    assert set(RECIPES) == set(REWARDS) == adroit
