"""The page through which workers find the embedded model."""

from __future__ import annotations

import os

from metis.bootstrap.embedded_child import SharedPage, Whereabouts

HERE = Whereabouts("http://127.0.0.1:4711", "s3cret", 8192, 1024)


def test_nothing_is_found_until_the_model_is_up() -> None:
    assert SharedPage().read() is None


def test_what_a_fork_writes_is_read_by_the_parent() -> None:
    page = SharedPage()
    pid = os.fork()
    if pid == 0:
        page.write(HERE)
        os._exit(0)
    os.waitpid(pid, 0)
    assert page.read() == HERE


def test_a_model_that_went_down_is_not_found_any_more() -> None:
    page = SharedPage()
    page.write(HERE)
    page.write(None)
    assert page.read() is None


def test_a_shorter_address_leaves_nothing_of_the_longer() -> None:
    page = SharedPage()
    page.write(Whereabouts("http://127.0.0.1:65535", "a-much-longer-secret", 8192, 1024))
    page.write(HERE)
    assert page.read() == HERE
