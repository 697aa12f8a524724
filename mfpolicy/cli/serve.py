"""``mfpolicy serve``."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mfpolicy.cli.help import answers_itself
from mfpolicy.config import ServeConfig, compose
from mfpolicy.errors import BackendError

if TYPE_CHECKING:
    from mfpolicy.deployment.server.server import ServerOptions


def run(words: Sequence[str]) -> int:
    """Serves a run until it is told to stop; prints one line of JSON when it is ready."""
    if answers_itself("serve", words):
        return 0
    config = compose("serve", words)
    _check_packages()
    from mfpolicy.deployment.server.server import ServerOptions

    options = ServerOptions(
        host=config.host,
        port=config.port,
        token=config.token,
        max_batch=config.max_batch,
        window_ms=config.window_ms,
        max_clients=config.max_clients,
        max_message_bytes=int(config.max_message_mb * 2**20),
    )
    _serve(config, options)
    print("stopped", file=sys.stderr)
    return 0


def _serve(config: ServeConfig, options: ServerOptions) -> None:
    import torch

    from mfpolicy.deployment.chunk_policy import load_chunk_policy
    from mfpolicy.deployment.server.process import serve_until_signal
    from mfpolicy.policy.files import check_device

    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = str(check_device(config.device))
    policy = load_chunk_policy(
        config.run,
        device=device,
        steps=config.steps,
        compiled=config.compiled,
        task=config.task,
    )

    def ready(host: str, port: int) -> None:
        name = f"[{host}]" if ":" in host else host
        line = {"ready": True, "url": f"ws://{name}:{port}", "task": policy.spec.task}
        print(json.dumps({**line, "device": device, "pid": os.getpid()}), flush=True)
        print("serving; Ctrl-C stops it", file=sys.stderr)

    serve_until_signal(policy, options, ready)


def _check_packages() -> None:
    for name in ("websockets", "msgpack"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise BackendError(
                f"a policy server needs the package {name}",
                received="not installed",
                remedy="pip install 'mfpolicy[server]'",
            ) from error
