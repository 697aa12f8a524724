"""A compiled network trains as the plain one does; without a compiler the remedy is named."""

import functools

import pytest
import torch

from mfpolicy.errors import BackendError
from mfpolicy.training import compilation, train
from mfpolicy.training.loop import Trainer


def _gradient(monkeypatch, config) -> dict[str, torch.Tensor]:
    kept = {}

    def keep(self, folder, sinks):
        self.update._accumulate(0)
        kept.update({n: p.grad for n, p in self.policy.named_parameters() if p.grad is not None})

    monkeypatch.setattr(Trainer, "run", keep)
    train(config)
    return kept


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # PyTorch's own
def test_the_captured_gradient_is_the_plain_one(configure, monkeypatch, tmp_path):
    """Captured and differentiated as for compiling, then run by PyTorch's eager backend.

    Generating code takes minutes of a CPU; it is PyTorch's part and not tested again here.
    """
    eager = functools.partial(torch.compile, backend="aot_eager")
    plain = _gradient(monkeypatch, configure())
    monkeypatch.setattr(torch, "compile", lambda f, *, dynamic, mode: eager(f, dynamic=dynamic))
    monkeypatch.setattr(compilation, "_require_compiler", lambda: None)
    captured = configure("training.compile=default", f"out={tmp_path / 'compiled'}")
    fast = _gradient(monkeypatch, captured)
    assert plain.keys() == fast.keys()
    for name in plain:
        torch.testing.assert_close(fast[name], plain[name], rtol=1e-4, atol=1e-6)


def test_without_a_compiler_the_remedy_is_named(configure, monkeypatch, tmp_path):
    from torch._inductor import config as inductor

    monkeypatch.setattr(inductor.cpp, "cxx", (None, "no-such-compiler"))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BackendError, match=r"install g\+\+"):
        train(configure("training.compile=default", "device=cpu"))
    assert not (tmp_path / "run").exists()


def test_cuda_graphs_without_a_gpu_are_refused(configure, tmp_path):
    with pytest.raises(BackendError, match="needs a CUDA device"):
        train(configure("training.compile=cuda_graphs", "device=cpu"))
    assert not (tmp_path / "run").exists()
