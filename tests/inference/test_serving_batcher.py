"""Recordings that arrive together are recognised together."""

import pytest

pytest.importorskip("fastapi_offline", reason="the server is not installed (pip install 'emofusion[serve]')")
from emofusion.inference.serving_batcher import Batcher
from testing_serving import Recogniser

FOREVER = 3600.0  # an answer that waits for others for so long does not come within the time of a test


@pytest.fixture
def start():
    """Starts batchers, and ends them."""
    started = []

    def start(recognise, batch_size=4, max_wait=0.0):
        batcher = Batcher(recognise, batch_size, 60.0, max_wait)
        batcher.start()
        started.append((recognise, batcher))
        return batcher

    yield start
    for recognise, batcher in started:
        recognise.go.set()
        batcher.close()


def submit(batcher, *texts, **options):
    return [batcher.submit({"text": text}, options) for text in texts]


def happy(future):
    return future.result(60)["scores"][0]["score"]


def test_recordings_that_wait_share_a_call_and_get_their_own_answers(start):
    recognise = Recogniser(waits=True)
    batcher = start(recognise)
    (first,) = submit(batcher, "1")
    assert recognise.called.wait(60)
    others = submit(batcher, *map(str, range(2, 10)))
    assert (batcher.waiting, batcher.running) == (8, 1)
    recognise.go.set()
    assert [happy(future) for future in (first, *others)] == pytest.approx([n / 100 for n in range(1, 10)])
    assert recognise.calls == [["1"], ["2", "3", "4", "5"], ["6", "7", "8", "9"]]
    assert recognise.options[0] == {"batch_size": 4, "batch_seconds": 60.0, "on_error": "return"}


def test_first_recording_waits_for_others_until_batch_is_full(start):
    recognise = Recogniser()
    batcher = start(recognise, batch_size=2, max_wait=FOREVER)
    one, other = submit(batcher, "1", "2")
    assert (happy(one), happy(other)) == (0.01, 0.02)
    assert recognise.calls == [["1", "2"]]


def test_recording_after_one_that_came_alone_does_not_wait(start):
    recognise = Recogniser()
    batcher = start(recognise, batch_size=1, max_wait=FOREVER)
    (first,) = submit(batcher, "1")
    assert happy(first) == 0.01
    batcher.batch_size = 2
    (second,) = submit(batcher, "2")
    assert happy(second) == 0.02


def test_recordings_with_other_options_have_another_call(start):
    recognise = Recogniser()
    batcher = start(recognise, batch_size=3, max_wait=FOREVER)
    futures = submit(batcher, "1", "2") + submit(batcher, "3", vad=True)
    assert [happy(future) for future in futures] == [0.01, 0.02, 0.03]
    assert recognise.calls == [["1", "2"], ["3"]]
    assert [options.get("vad") for options in recognise.options] == [None, True]


def test_recording_on_which_pipeline_fails_fails_alone(start):
    batcher = start(Recogniser(), batch_size=3, max_wait=FOREVER)
    one, bad, other = submit(batcher, "1", "raise", "2")
    assert (happy(one), happy(other)) == (0.01, 0.02)
    with pytest.raises(RuntimeError, match="no place"):
        bad.result(60)


def test_dropped_recording_never_reaches_model(start):
    recognise = Recogniser(waits=True)
    batcher = start(recognise)
    (first,) = submit(batcher, "1")
    assert recognise.called.wait(60)
    dropped, kept = submit(batcher, "2", "3")
    assert dropped.cancel()
    assert batcher.waiting == 1
    recognise.go.set()
    assert (happy(first), happy(kept)) == (0.01, 0.03)
    assert recognise.calls == [["1"], ["3"]]


def test_all_that_wait_are_answered_before_the_end(start):
    recognise = Recogniser()
    batcher = start(recognise, max_wait=FOREVER)
    futures = submit(batcher, "1", "2")
    batcher.close()
    assert [future.done() for future in futures] == [True, True]
    assert not batcher.is_alive
