"""Forward mode in several threads at once, where PyTorch has one level for all of them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.autograd import forward_ad

from mfpolicy import networks
from mfpolicy.objectives.derivative import forward_derivative

THREADS, ROUNDS = 4, 12


def _problem(seed: int):
    """A network of its own and where to differentiate it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sizes = {"action_dim": 2 + seed, "horizon": 4, "condition_dim": 8}
        network = networks.build("unet1d", **sizes, widths=(16, 16), time_dim=16)
        z, tangent = torch.randn(2, 6, 4, 2 + seed)
        prepared = network.prepare(torch.randn(6, 8)).detach()
    t = torch.linspace(0.1, 1, 6)
    return (lambda z, r, t: network(z, r, t, prepared)), (z, t / 2, t, tangent)


def test_threads_differentiate_at_once_and_each_gets_its_own_derivative():
    problems = [_problem(seed) for seed in range(THREADS)]
    alone = [forward_derivative(velocity, *at) for velocity, at in problems]
    ready = threading.Barrier(THREADS, timeout=60)

    def work(problem):
        velocity, at = problem
        ready.wait()
        return [forward_derivative(velocity, *at).detach() for _ in range(ROUNDS)]

    with ThreadPoolExecutor(THREADS) as pool:
        together = list(pool.map(work, problems))
    for expected, found in zip(alone, together, strict=True):
        assert all(torch.equal(expected, derivative) for derivative in found)


def test_a_gradient_of_a_derivative_meets_no_tangents_beside_another_threads_derivative():
    """The graph saves tensors with tangents; they are gone when the backward pass runs."""
    (velocity, (z, r, t, tangent)), (other, at) = _problem(0), _problem(1)
    z.requires_grad_()

    def gradient():
        dudt = forward_derivative(velocity, z, r, t, tangent)
        return torch.autograd.grad(dudt.square().sum(), z)[0]

    alone, inside, done = gradient(), threading.Event(), threading.Event()

    def stays_for_a_while(z, r, t):
        inside.set()
        done.wait(0.5)
        return other(z, r, t)

    with ThreadPoolExecutor(1) as pool:
        company = pool.submit(forward_derivative, stays_for_a_while, *at)
        assert inside.wait(60)
        beside = gradient()
        done.set()
        company.result()
    assert torch.equal(alone, beside)


def test_a_plain_pass_beside_another_threads_derivative_keeps_its_bits_and_gradient():
    (velocity, at), (other, (z, r, t, _)) = _problem(0), _problem(1)
    z.requires_grad_()
    alone = other(z, r, t)
    (gradient,) = torch.autograd.grad(alone.square().sum(), z)
    seen = []

    def meanwhile():
        u = other(z, r, t)
        seen.extend([u, torch.autograd.grad(u.square().sum(), z)[0]])

    def with_company(z, r, t):
        thread = threading.Thread(target=meanwhile)
        thread.start()
        thread.join()
        return velocity(z, r, t)

    forward_derivative(with_company, *at)
    assert torch.equal(alone, seen[0])
    assert torch.equal(gradient, seen[1])


def test_a_derivative_of_a_derivative_is_refused_and_leaves_nothing_behind():
    velocity, at = _problem(0)
    nested = lambda z, r, t: forward_derivative(velocity, z, r, t, torch.ones_like(z))  # noqa: E731
    with pytest.raises(RuntimeError, match="Nested forward mode"):
        forward_derivative(nested, *at)
    with forward_ad.dual_level():
        pass
    assert forward_derivative(velocity, *at).isfinite().all()
