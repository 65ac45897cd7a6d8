"""Small runs of the sections: they measure what they claim. Times are not tested."""

import math

import numpy as np
import pytest
from emofusion.benchmarks import batch_scoring, decode, padding, resample, scoring, startup
from emofusion.benchmarks import corpora as corpora_section
from emofusion.benchmarks.iemocap_tree import build_tree
from emofusion.corpora.iemocap.corpus import IEMOCAP
from emofusion.corpora.preparation.inspection import measure
from emofusion.processing import load_audio, load_video
from testing_benchmarks import run_here


@pytest.mark.parametrize("name", resample.RESAMPLERS)
@pytest.mark.parametrize("rate", resample.RATES)
def test_every_resampler_returns_a_second_at_16_khz_with_the_same_tone(name, rate):
    result = resample.RESAMPLERS[name](resample.tone(1000, rate), rate)
    assert result.dtype == np.float32
    assert abs(len(result) - resample.SAMPLING_RATE) <= 32
    inner = slice(resample.EDGE, -resample.EDGE - 32)
    assert np.abs(result[inner] - resample.tone(1000, resample.SAMPLING_RATE)[: len(result)][inner]).max() < 2e-3


def test_quality_detects_the_aliasing_of_a_bad_resampler():
    """Take every third sample without a filter: no attenuation, full aliasing."""
    bad = resample.quality(lambda waveform, rate: waveform[::3], 48000, 2000)
    assert bad["alias"] == pytest.approx(0, abs=0.01)
    assert bad["passband"] == pytest.approx(0, abs=1e-3)
    assert bad["SNR"] > 100
    good = resample.quality(resample.RESAMPLERS["soxr HQ"], 48000, 2000)
    assert good["alias"] < -100
    assert abs(good["passband"]) < 0.01


def test_quality_detects_delay_and_gain():
    late = resample.quality(lambda waveform, rate: 0.5 * np.roll(waveform, 3)[::3], 48000, 2000)
    assert late["passband"] == pytest.approx(20 * math.log10(0.5), abs=1e-3)
    assert late["SNR"] < 6


@pytest.mark.parametrize("kind", [*decode.SOUNDS, *decode.VIDEOS])
def test_written_files_have_their_duration(kind, tmp_path):
    path = decode.write(tmp_path / f"2.{kind}", 2)
    waveform = load_audio(path, 16000)
    assert len(waveform) / 16000 == pytest.approx(2, abs=0.1)
    assert 0.01 < np.abs(waveform).mean() < 0.2
    if kind in decode.VIDEOS:
        shown = load_video(path, 2.0)
        assert shown.shape == (4, 360, 640, 3)
        assert (shown[0] != shown[-1]).any()


def test_the_synthetic_corpus_has_no_problems(tmp_path):
    files = build_tree(tmp_path, turns=61, dialogues=10)
    scan = IEMOCAP.scan(tmp_path, IEMOCAP.parse(classes="all"))
    rows = list(scan.rows)
    assert scan.problems == []
    assert len(rows) == len({row["id"] for row in rows}) == 61
    assert len({row["dialogue"] for row in rows}) == 10
    assert files == sum(path.is_file() for path in tmp_path.rglob("*"))
    for row in rows:
        assert measure(row["audio"]["path"]) == pytest.approx(row["end"] - row["start"], abs=1e-3)
        assert measure(row["video"]["path"], "video") > row["end"]
        assert row["alignment"]["phone"]["end"][-1] == pytest.approx(row["end"] - row["start"], abs=1e-3)
        assert 2 * len(row["alignment"]["word"]["symbol"]) - 2 == len(row["alignment"]["syllable"]["symbol"])


def test_corpora_are_scanned_prepared_and_opened():
    (table,) = corpora_section.measure(quick=True)
    counts = {row["what"]: row["rows"] for row in table["rows"][1:]}
    assert counts == dict.fromkeys(("scan", "prepare", "prepare again, unchanged", "open"), 60)
    assert all(row["peak MB"] > 10 for row in table["rows"])


def test_batches_of_similar_length_pad_less():
    (table,) = padding.measure(quick=True)
    shares = {row["what"]: row["padding %"] for row in table["rows"]}
    assert shares["8 of similar length"] < shares["8 at random"] < 100
    lengths = np.array([1.0, 2.0, 3.0, 4.0])
    assert padding.row("all", lengths, [[0, 1], [2, 3]])["padding %"] == pytest.approx(100 * (1 - 10 / 12))


def test_startup_has_a_row_for_each_process(monkeypatch):
    monkeypatch.setattr(startup, "run_in_subprocess", run_here)
    started, answered = startup.measure(quick=True)
    assert [row["what"] for row in started["rows"]] == ["python", "import emofusion", "emofusion --help"]
    assert [row["what"] for row in answered["rows"]] == ["emofusion predict, tiny model"]
    for row in started["rows"] + answered["rows"]:
        assert 0 < row["least"] <= row["median s"] <= row["most"]
        assert row["processor s"] > 0


def test_every_way_of_scoring_has_its_ratios():
    rows = scoring.measure_set([0.3, 0.2, 0.1], parts=2, small=True)
    assert [row["what"] for row in rows] == ["naive loop", "model alone", "our pipeline", "transformers"]
    assert rows[0]["to loop"] == rows[1]["to model"] == 1
    assert all(0 < row["least"] <= row["median"] <= row["most"] for row in rows)
    assert 2.5 < np.median(scoring.draw_lengths(1000)) < 3.5


def test_a_table_is_measured_against_a_loop_in_both_dtypes(monkeypatch):
    monkeypatch.setattr(batch_scoring, "run_in_subprocess", run_here)
    ((*loops, ours),) = [table["rows"] for table in batch_scoring.measure(quick=True)]
    assert [row["what"] for row in loops] == ["naive loop, float32", "model alone, float32"]
    assert ours["what"] == "predict --out"
    assert loops[0]["to float32 loop"] == loops[0]["to loop"] == loops[1]["to model"] == 1
    seconds = [min(length, 1.0) for length in scoring.draw_lengths(16)]
    assert ours["h/h"] == pytest.approx(ours["per s"] * np.mean(seconds))
