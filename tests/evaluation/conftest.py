"""Workers that start in milliseconds."""

import multiprocessing
from types import SimpleNamespace

import pytest

from mfpolicy.evaluation import workers


@pytest.fixture(scope="session")
def _server():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "mfpolicy.evaluation.services"])
    return context


@pytest.fixture
def workers_of_a_server(_server, monkeypatch):
    """They are forked from a process that has imported torch, where a user's import it themselves.

    Those that fixtures of a module start are a user's.
    """
    monkeypatch.setattr(workers, "multiprocessing", SimpleNamespace(get_context=lambda _: _server))
