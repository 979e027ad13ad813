"""Strategies of whole cases: well-formed ones, and such that were changed."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from fuzz.case import Case, Kind
from fuzz.mutations import Change, changes, mutated_body, mutated_stream
from fuzz.pieces import SHAPES, answers, bodies
from metis.ir.stream import unfold
from metis.wire import SHAPES as CODECS
from metis.wire.codec import ReplyContext, ShapeName

_CONTEXT: Final = ReplyContext(model="m", response_id="made", created=1)
_CUTS: Final = st.integers(0, 50)


def _streamed(target: ShapeName, answer: tuple[ShapeName, bytes], cuts: int) -> Case:
    """An answer of any shape as another's stream."""
    codecs = {codec.name: codec for codec in CODECS}
    name, body = answer
    encoder = codecs[target].stream_encoder(_CONTEXT)
    events = unfold(codecs[name].decode_response(body))
    return Case(target, "stream", b"".join(map(encoder.feed, events)), cuts=cuts)


_STREAMS: Final = st.builds(_streamed, st.sampled_from(SHAPES), answers(), _CUTS)
# As often as they are worth: streams have the most states.
_BY_KIND: Final[dict[Kind, st.SearchStrategy[Case]]] = {
    "request": bodies("request"),
    "answer": bodies("answer"),
    "stream": _STREAMS,
    "error": bodies("error"),
}
_OFTEN: Final[tuple[Kind, ...]] = ("stream",) * 5 + ("request",) * 4 + ("answer",) * 3


def _of(kinds: tuple[Kind, ...]) -> st.SearchStrategy[Case]:
    return st.sampled_from(kinds).flatmap(_BY_KIND.__getitem__)


def _changed(case: Case, drawn: tuple[list[Change], list[Change]]) -> Case:
    change = mutated_stream if case.kind == "stream" else mutated_body
    data = change(case.data, *drawn)
    return Case(case.shape, case.kind, data, mutated=True, cuts=case.cuts)


WELL_FORMED: Final = _of(_OFTEN)
CHANGED: Final = st.builds(_changed, _of((*_OFTEN, "error")), changes())
