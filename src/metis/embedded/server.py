"""The embedded model's own process: `python -m metis.embedded.server`. The parent's side is in `process`.

It reads one line of JSON (`Orders`) from stdin, serves on a random loopback port, writes one line
(`Ready` or `Failed`) to stdout, and lives until stdin ends. The secret comes over stdin, so that
neither the argument list nor the environment of any process shows it. xllamacpp is imported here
alone, and only when the process runs.
"""

from __future__ import annotations

import ctypes
import http.client
import importlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

_PR_SET_PDEATHSIG: Final = 1  # <linux/prctl.h>
_PROBE_EVERY_S: Final = 0.02
# A prompt is read this many tokens at a time, and only between two batches can a hung-up client be
# noticed or another slot be served: with llama.cpp's 2048 that took 18 s on a busy core, with 256 0.3 s.
_BATCH_TOKENS: Final = 256
_SEED: Final = 1


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent wants: see EmbeddedSettings for the units."""

    weights: str
    model: str
    secret: str
    parent_pid: int
    threads: int
    slots: int
    context_window: int
    max_output_tokens: int
    start_timeout_s: float


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """`base_url` is the root; `context_window` is what each slot really got, in tokens."""

    base_url: str
    context_window: int


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    reason: str


def main() -> None:
    """Serve until the parent is gone. Exit codes: 0 stdin ended, 1 the start failed."""
    # Ctrl-C reaches the whole process group; the gateway still drains then and needs its model.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders = msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders)
    _die_with_parent(orders.parent_pid)
    # The gateway goes first when cores are scarce.
    os.nice(5)
    try:
        server, ready = _serve(orders)
    except (ImportError, OSError, RuntimeError, ValueError) as exc:
        _tell(Failed(reason=f"{type(exc).__name__}: {exc}"))
        sys.exit(1)
    _tell(ready)
    sys.stdin.buffer.read()
    del server
    # The runtime's own teardown waits for requests under way; nobody is left to read the answers.
    os._exit(0)


def _serve(orders: Orders) -> tuple[object, Ready]:
    # libgomp's threads spin at their barriers by default: with one core taken by somebody else two
    # threads then made 0.3 tokens a second, sleeping ones 45. Read when the library is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # The compiled module's types are unknown to the checker, hence Any.
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = orders.weights
    params.model_alias = {orders.model}
    params.verbosity = -1
    params.api_keys = [orders.secret]
    # Empty values allow no origin; llama.cpp's own default is `*`.
    params.cors_origins = params.cors_methods = params.cors_headers = ""
    params.cors_credentials = False
    params.ui = params.endpoint_slots = False
    params.n_parallel = orders.slots
    params.n_ctx = orders.context_window * orders.slots
    params.n_batch = params.n_ubatch = _BATCH_TOKENS
    params.n_predict = orders.max_output_tokens
    params.n_gpu_layers = 0
    params.fit_params = False
    params.cache_ram_mib = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = orders.threads
    params.chat_template = Path(__file__).with_name("chat_template.jinja").read_text("utf-8")
    # The model card's sampling; the fixed seed makes the same request give the same answer.
    params.sampling.temp, params.sampling.top_p, params.sampling.seed = 0.2, 0.9, _SEED
    server: Any = xllamacpp.Server(params)
    base_url = str(server.listening_address)
    return server, Ready(base_url=base_url, context_window=_wait_ready(base_url, orders))


class _Meta(msgspec.Struct):
    n_ctx: int
    n_ctx_train: int


class _Model(msgspec.Struct):
    meta: _Meta


class _Models(msgspec.Struct):
    data: list[_Model]


def _wait_ready(base_url: str, orders: Orders) -> int:
    """Ask for the model list until it comes; return the tokens one slot holds."""
    deadline = time.monotonic() + orders.start_timeout_s
    address = urlsplit(base_url)
    headers = {"Authorization": f"Bearer {orders.secret}"}
    while True:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
        try:
            connection.request("GET", "/v1/models", headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status == 200:
            meta = msgspec.json.decode(body, type=_Models).data[0].meta
            return min(meta.n_ctx, meta.n_ctx_train)
        if time.monotonic() > deadline:
            raise TimeoutError(f"the model list answers {answer.status}")
        time.sleep(_PROBE_EVERY_S)


def _die_with_parent(parent_pid: int) -> None:
    """Have Linux kill this process when the parent's thread dies; elsewhere the end of stdin tells."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before the order was given
        os._exit(0)


def _tell(message: Ready | Failed) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
