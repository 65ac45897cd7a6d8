"""Reading ahead: in order, no further than stated, and in this thread where an item is taken."""

import threading
from itertools import chain

import pytest
from emofusion.processing.read_ahead import one_ahead, run_ahead


@pytest.mark.parametrize(("size", "ahead"), [(1, 0), (3, 0), (2, 5), (20, 1)])
def test_results_come_in_order_in_lists(size, ahead):
    lists = list(run_ahead(pow, ((number, 2) for number in range(7)), size, ahead))
    assert [len(part) for part in lists[:-1]] == [size] * (len(lists) - 1)
    assert list(chain.from_iterable(lists)) == [number**2 for number in range(7)]


@pytest.mark.parametrize(("size", "ahead", "taken"), [(2, 0, 2), (2, 3, 5), (1, 0, 1)])
def test_no_item_is_taken_before_it_is_needed(size, ahead, taken):
    seen = []
    lists = run_ahead(lambda item: item, ((seen.append(number) or number,) for number in range(9)), size, ahead)
    assert seen == []
    next(lists)
    assert len(seen) == taken
    lists.close()
    assert len(seen) == taken


def test_items_are_taken_in_this_thread_and_used_in_others():
    here = threading.get_ident()
    items = ((threading.get_ident(),) for _ in range(3))
    for (pair,) in run_ahead(lambda taken: (taken, threading.get_ident()), items, 1, 1):
        assert pair[0] == here != pair[1]


def test_an_error_is_raised_in_its_place():
    lists = run_ahead(lambda number: 1 // number, [(1,), (0,), (1,)], 1, 2)
    assert next(lists) == [1]
    with pytest.raises(ZeroDivisionError):
        next(lists)


def test_the_next_result_is_computed_while_one_is_used():
    computed, both = [], threading.Event()

    def compute(item):
        computed.append(item)
        if len(computed) == 2:
            both.set()
        return -item

    pairs = one_ahead(compute, iter(range(4)))
    assert next(pairs) == (0, 0)
    assert both.wait(60)
    assert computed == [0, 1]
    assert list(pairs) == [(1, -1), (2, -2), (3, -3)]
    assert list(one_ahead(compute, [])) == []
