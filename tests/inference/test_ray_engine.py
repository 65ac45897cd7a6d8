"""Scores as a job of Ray Data, on a Ray of this machine."""

import os
import signal
import sys
from functools import partial

import pytest
import testing_scoring
from emofusion.inference.ray_engine import score_on_ray
from emofusion.inference.recordings import find_recordings
from emofusion.inference.scoring_options import ScoringOptions
from testing_scoring import Recogniser, make_recordings

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'emofusion[ray]'")


def load(place, device):
    """Return a recogniser; the worker that is the first to come to recording 40 is killed there."""

    class Fatal(Recogniser):
        def _answer(self, row, start):
            if row["audio"]["path"].endswith("40.wav") and not os.path.exists(place):
                open(place, "x").close()
                os.kill(os.getpid(), signal.SIGKILL)
            return super()._answer(row, start)

    return Fatal()


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # Ray warns of itself
def test_killed_worker_loses_and_doubles_nothing(tmp_path):
    for module in (sys.modules[__name__], testing_scoring):  # which workers cannot import
        ray.cloudpickle.register_pickle_by_value(module)
    make_recordings(tmp_path, 70)
    recordings = find_recordings([tmp_path]).recordings
    done = {next(iter(recordings)): [0]}
    place = tmp_path / "killed"
    parts = list(score_on_ray(partial(load, place), ScoringOptions(window_seconds=0.5), recordings, done, 2))
    assert place.exists()
    every = {(key, part) for key in recordings for part in (0, 1)} - {(next(iter(recordings)), 0)}
    assert len(parts) == len(every)
    assert {(part.key, part.part) for part in parts} == every
