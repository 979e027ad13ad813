"""The conformance suite against Metis and other gateways, in one run; writes docs/conformance.md.

usage: python -m bench.conformance [--peers litellm,portkey,tensorzero,rolter] [--only ID]... [--out FILE] [--json FILE]
Peers that are missing are installed first (see bench/peers.py).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench import peers
from bench.conformance_document import Entry, document
from bench.contenders import Contender, Place, contenders
from bench.processes import end_on_sigterm, free_port, start, stop, wait_port
from metis.conformance.report import as_json, rows, score
from metis.conformance.runner import chosen, run
from metis.conformance.scenario import SHAPES, Verdict
from metis.conformance.stage import Target

_DOCUMENT: Final = Path(__file__).parents[1] / "docs/conformance.md"
_START_S: Final = 120.0
_ENVIRONMENT: Final = {
    "OPENAI_API_KEY": "sk-up",
    "ANTHROPIC_API_KEY": "sk-up",
    "ROLTER_KEY_PEPPER": "pepper",
    # No calls home, and no price lists from there.
    "DO_NOT_TRACK": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "DISABLE_ADMIN_UI": "True",
    "NO_PROXY": "127.0.0.1",
}


def _serve(contender: Contender, place: Place) -> tuple[subprocess.Popen[bytes], str, str]:
    """Start it; gives its process, its address and its key once it listens. Raises SystemExit."""
    log = place.folder / "log"
    environment = {"PATH": os.environ["PATH"], "HOME": str(place.folder), **_ENVIRONMENT}
    process = start(
        contender.command(place), core=None, log=log, environment=environment, folder=place.folder
    )
    url, key = f"http://127.0.0.1:{place.port}", contender.key
    deadline = time.monotonic() + _START_S
    while contender.tells_address and not (place.said.exists() and place.said.read_text()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{contender.name} did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)
    if contender.tells_address:
        said = place.said.read_text()
        ready = json.loads(said) if said.startswith("{") else {"url": said, "key": key}
        parts = urlsplit(ready["url"])
        url, key = f"{parts.scheme}://{parts.netloc}", ready["key"]
    wait_port(urlsplit(url).port or place.port, process, log)
    return process, url + contender.path, key


def _try(contender: Contender, folder: Path, only: list[str]) -> Entry:
    """All shapes against one gateway, which is started for it and stopped after."""
    folder.mkdir()
    place = Place(folder, free_port(), free_port())
    process, url, key = _serve(contender, place)
    print(f"{contender.name} {contender.version} at {url}", flush=True)
    verdicts: list[Verdict] = []
    try:
        for shape in SHAPES:
            target = Target(
                url=url,
                key=key,
                models=contender.models_for(shape),
                headers=contender.headers(place.upstream),
                alias=contender.alias,
            )
            cases = chosen([shape], only)
            verdicts += asyncio.run(
                run(target, cases, host="127.0.0.1", port=place.upstream, told=lambda _one: None)
            )
            total = score(one for one in verdicts if one.case.shape == shape)
            print(f"  {shape}: {total.passed} of {total.applicable} pass", flush=True)
    finally:
        stop(process)
    return Entry(contender.name, contender.version, tuple(verdicts))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.conformance")
    parser.add_argument("--peers", default="litellm,portkey,tensorzero,rolter")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--out", type=Path, default=_DOCUMENT)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    end_on_sigterm()
    chosen_peers = peers.chosen(options.peers)
    for peer in chosen_peers:
        if not peers.installed(peer):
            print(f"installing {peer.name} into {peers.cache() / peer.name}", flush=True)
            peers.install(peer)
    with tempfile.TemporaryDirectory(prefix="metis-conformance-") as made:
        entries = [
            _try(one, Path(made) / one.name, options.only)
            for one in contenders([peer.name for peer in chosen_peers])
        ]
    if options.json:
        whole = {entry.name: as_json(entry.verdicts) for entry in entries}
        options.json.write_text(json.dumps(whole, indent=1, ensure_ascii=False))
    options.out.write_text(document(entries, datetime.now(UTC).date()))
    for entry in entries:
        for row in rows(entry.verdicts):
            if row[1] == "total":
                print(entry.name, *row)
    print(f"written: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
