import pytest
from emofusion.benchmarks.prefix_cache import measure_epochs


def test_an_epoch_is_measured_with_and_without_the_cache():
    row = measure_epochs("spoken/cross_attention.yaml", frozen=True, clips=2, size=2, repeats=1)
    assert row["gain"] == pytest.approx(row["without ms"] / row["with ms"])
    assert row["at most"] > 2  # nearly all operations are those of the encoders
    seconds = 1.9 + 3.2
    # 50 states of 64 numbers a second of speech; and the words
    assert row["MB/h"] > 3600 * 50 * 64 * 4 / 1e6 * 0.98
    assert row["MB/h"] < 3600 * (50 * 64 + 64 * 40 * 2 / seconds) * 4 / 1e6
