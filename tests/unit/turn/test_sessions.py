"""Which requests without a session id of the client's own are one conversation."""

from __future__ import annotations

from metis.facts.ids import IdFactory
from metis.turn.sessions import SessionBook, message_slices
from metis.wire.splice import read_body

FIRST = b'{"messages":[{"role":"user","content":"go"}]}'
NEXT = (
    b'{"messages":[{"role":"user","content":"go"},{"role":"assistant","content":"gone"},'
    b'{"role":"user","content":"and back"}]}'
)


class Book:
    def __init__(self) -> None:
        self._book = SessionBook(b"secret", IdFactory())

    def __call__(self, body: bytes, *, key: str = "key_1", client: str = "sdk") -> str:
        fields = read_body(body).fields
        return self._book.recognise((key, client), fields, message_slices(fields))


def test_a_request_that_goes_on_from_another_is_its_session() -> None:
    book = Book()
    first = book(FIRST)
    assert first.startswith("ses_")
    assert book(NEXT) == first


def test_another_key_or_client_with_the_same_words_has_a_session_of_its_own() -> None:
    book = Book()
    found = {book(FIRST), book(FIRST, key="key_2"), book(FIRST, client="other")}
    assert len(found) == 3
    assert book(NEXT, client="other") in found - {book(FIRST), book(FIRST, key="key_2")}
