"""The stage of a module: its SCRIPT played behind a gateway in this process and, slow, behind a real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.e2e.stage import Stage, write_stage
from tests.gateway import Gateway
from tests.inprocess import InProcessGateway


@pytest.fixture(
    scope="module",
    params=["inprocess", pytest.param("process", marks=pytest.mark.slow)],
)
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A module names its replies SCRIPT and may add to the configuration with CONFIG."""
    folder = tmp_path_factory.mktemp("stage")
    module = request.module
    config = write_stage(folder, module.SCRIPT, getattr(module, "CONFIG", ""))
    made = InProcessGateway if request.param == "inprocess" else Gateway
    gateway = made(folder, config)
    try:
        yield Stage(gateway)
    finally:
        gateway.stop()


@pytest.fixture(params=["a", "c", "r"], ids=["to-messages", "to-chat", "to-responses"])
def upstream(request: pytest.FixtureRequest) -> str:
    """The provider a test talks to, by the one shape it speaks."""
    return request.param


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def stream(request: pytest.FixtureRequest) -> bool:
    return request.param
