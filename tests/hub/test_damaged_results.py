"""Cards of results in which one value, anywhere, was replaced by another."""

import copy
import json
import random

import pytest
from emofusion.hub import write_card
from testing_results import CASES, make_results

VALUES = [None, "", "x", [], {}, -1, 1e308, float("nan"), float("inf"), True, [None], [[]], {"a": None}, "\n# x"]
VALUES += [10**30, ["x"] * 3, [1, 2], {"x": {"x": []}}]


def places(value, place=()):
    """Yield the place of every value in JSON, as the keys that lead there."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*place, key)
        yield from places(value[key], (*place, key))


@pytest.mark.parametrize("case", CASES)
def test_a_card_is_written_or_refused_in_one_sentence(tmp_path, case):
    whole, random_ = make_results(case, "x").to_dict(), random.Random(case)
    damaged = [(place, value) for place in places(whole) for value in VALUES]
    messages = {}
    for place, value in random_.sample(damaged, 60):
        results = inner = copy.deepcopy(whole)
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        (tmp_path / "results.json").write_text(json.dumps(results))
        try:
            write_card(tmp_path)
        except ValueError as error:
            messages[place, repr(value)] = str(error)
    assert 0 < len(messages) < 60
    assert not {key: text for key, text in messages.items() if "results.json: " not in text or "\n" in text}
