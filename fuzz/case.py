"""One input that is tried: bytes, what they are meant to be, and how they are cut."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Literal

from metis.wire import SHAPES
from metis.wire.codec import Shape, ShapeName

Kind = Literal["request", "answer", "stream", "error"]
_SIZES: Final = (1, 2, 3, 7, 40, 300, 4000)


@dataclass(frozen=True, slots=True)
class Case:
    """Of what is `mutated` no more is expected than that it does no harm. `cuts` seeds how a stream is cut; 0: not."""

    shape: ShapeName
    kind: Kind
    data: bytes
    mutated: bool = False
    cuts: int = 0

    @property
    def codec(self) -> Shape:
        return next(shape for shape in SHAPES if shape.name == self.shape)

    def pieces(self) -> list[bytes]:
        if not self.cuts:
            return [self.data]
        dice, place = random.Random(self.cuts), 0
        pieces: list[bytes] = []
        while place < len(self.data):
            size = dice.choice(_SIZES)
            pieces.append(self.data[place : place + size])
            place += size
        return pieces
