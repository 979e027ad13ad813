"""All scenarios, in the order they are played and shown."""

from __future__ import annotations

from typing import Final

from metis.conformance.scenario import Scenario
from metis.conformance.scenarios.beyond import BEYOND
from metis.conformance.scenarios.blocks import BLOCKS
from metis.conformance.scenarios.bytes import BYTES
from metis.conformance.scenarios.connections import CONNECTIONS
from metis.conformance.scenarios.contract import CONTRACT
from metis.conformance.scenarios.disconnect import DISCONNECT
from metis.conformance.scenarios.errors import ERRORS
from metis.conformance.scenarios.grammar import GRAMMAR
from metis.conformance.scenarios.load import LOAD
from metis.conformance.scenarios.markers import MARKERS
from metis.conformance.scenarios.odd_servers import ODD_SERVERS
from metis.conformance.scenarios.parameters import PARAMETERS
from metis.conformance.scenarios.retries import RETRIES
from metis.conformance.scenarios.signatures import SIGNATURES
from metis.conformance.scenarios.timing import TIMING
from metis.conformance.scenarios.usage import USAGE

SCENARIOS: Final[tuple[Scenario, ...]] = (
    *BYTES,
    *BLOCKS,
    *SIGNATURES,
    *MARKERS,
    *PARAMETERS,
    *GRAMMAR,
    *ODD_SERVERS,
    *TIMING,
    *USAGE,
    *CONTRACT,
    *CONNECTIONS,
    *DISCONNECT,
    *LOAD,
    # Last, since a target may close its door to an upstream that fails often.
    *ERRORS,
    *RETRIES,
    *BEYOND,
)
