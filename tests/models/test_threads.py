"""Parts of work on threads: all pieces once, in order, whatever the number of threads."""

import numpy as np
import pytest

from cosim.models.threads import in_parts, side_by_side, thread_count, usable_cores


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_every_piece_is_done_once_and_answers_come_in_order(monkeypatch, threads):
    """Parts cover the pieces without gap or overlap."""
    monkeypatch.setenv("COSIM_NUM_THREADS", threads)
    assert in_parts(lambda first, end: list(range(first, end)), 10, 3) == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    done = np.zeros(1000, dtype=np.int64)

    def work(first: int, end: int) -> None:
        done[first:end] += 1

    side_by_side(work, 1000, least=10)
    assert np.all(done == 1)


def test_few_pieces_stay_in_one_part(monkeypatch):
    """Where no two threads would get enough, nothing is divided."""
    monkeypatch.setenv("COSIM_NUM_THREADS", "4")
    parts = []
    side_by_side(lambda first, end: parts.append((first, end)), 15, least=10)
    assert parts == [(0, 15)]


def test_what_a_part_raises_is_raised(monkeypatch):
    """An error on a thread ends the call."""
    monkeypatch.setenv("COSIM_NUM_THREADS", "2")
    with pytest.raises(ZeroDivisionError):
        in_parts(lambda first, _end: 1 // first, 4, 2)


def test_the_environment_says_how_many(monkeypatch):
    """A number counts, anything else means every core that may be used."""
    monkeypatch.setenv("COSIM_NUM_THREADS", "7")
    assert thread_count() == 7
    monkeypatch.setenv("COSIM_NUM_THREADS", "many")
    assert thread_count() == usable_cores() >= 1
