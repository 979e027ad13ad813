"""metis.toml and what overrides it, as one frozen value; and the values `up` and the supervisor exchange.

Reading files and the environment happens in `loading`; what is wrong with a file is said by `diagnosis`. This
package imports the packages' dependency-free settings and nothing else of theirs.
"""

from __future__ import annotations

from metis.config.loading import Loaded, config_candidates, load_config, located
from metis.config.schema import Config, Ready, UpOptions

__all__ = [
    "Config",
    "Loaded",
    "Ready",
    "UpOptions",
    "config_candidates",
    "load_config",
    "located",
]
