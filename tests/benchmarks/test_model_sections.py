"""The sections that compare models, with small models and short clips. Times are not tested."""

import pytest
import torch
from emofusion.benchmarks import correctness, floors, gpu, growth, overhead, peers, speed, training_step
from emofusion.benchmarks.measuring import format_table
from emofusion.benchmarks.setting import QUICK, as_setting, describe_clips
from emofusion.benchmarks.stock import StockEncoders, encoder_weights
from emofusion.benchmarks.systems import LATE_FUSION, WITH_STOCK, build, make_batch

FIELDS = vars(QUICK)


@pytest.fixture(scope="module")
def fusion():
    return build("cross_attention", small=True)


def test_forward_is_compared_in_each_dtype_and_batch():
    tables = speed.make_tables([speed.measure_system("text", FIELDS)], QUICK)
    assert [table["title"].split(":")[0] for table in tables] == [f"Forward, {title}" for title in QUICK.batches]
    for table in tables:
        assert len(table["rows"]) == len(speed.COMPARISONS)
        for row in table["rows"]:
            assert row["ratio"] == pytest.approx(row["stock ms"] / row["ours ms"])
            assert 0 < row["floor ms"] < row["ours ms"]
            assert row["ours / floor"] > 1
    costs = [table["rows"][0]["GFLOP"] for table in tables]
    assert costs[2] < costs[0] <= costs[1]  # 0.6 s; 0.5 and 0.8 s; twice 0.7 s


def test_training_step_is_compared_with_memory():
    (table,) = [training_step.make_table(training_step.measure_system("text", QUICK), QUICK)]
    assert [row["dtype"] for row in table["rows"]] == ["float32", "bfloat16"]
    for row in table["rows"]:
        assert row["ratio"] == pytest.approx(row["stock ms"] / row["ours ms"])
        assert 0 < row["peak %"] < 100
        assert row["stock MB"] > 10 < row["ours MB"]


def test_overhead_counts_only_the_fusion():
    rows = overhead.measure_system("text", FIELDS)
    assert {name: len(found) for name, found in rows.items()} == {"forward": 2, "step": 2}
    for row in [*rows["forward"], *rows["step"]]:
        assert row["ratio"] == pytest.approx(row["whole ms"] / row["encoders ms"])
        assert 0 < row["fusion %"] < 50
        assert row["waits"] == 0


def test_encoders_of_late_fusion_are_those_of_its_members():
    encoders = overhead.build_encoders(LATE_FUSION, small=True)
    batch = make_batch(encoders.config, QUICK.lengths)
    with torch.no_grad():
        whole, alone = build(LATE_FUSION, small=True), encoders
        operations = [floors.count_operations(lambda model=model: model(**batch)) for model in (whole, alone)]
    assert 0.5 * operations[0] < operations[1] < operations[0]


def test_encoders_of_wavfusion_keep_their_self_attention():
    model = build("wavfusion", small=True)
    model.config.freeze_audio_layers = -1  # all layers below the fusion
    twin, encoders = overhead.plain_twin(model), overhead.build_encoders("wavfusion", small=True)
    assert twin.config.freeze_audio_layers == model.config.num_audio_layers
    assert len(encoders.model.audio_encoder.encoder.layers) == model.config.audio_config.num_hidden_layers
    batch = make_batch(model.config, QUICK.lengths)
    with torch.no_grad():
        assert encoders.base_model(**batch).embedding.shape == (2, encoders.config.embedding_size)


@pytest.mark.parametrize("system", WITH_STOCK)
def test_stock_has_the_encoders_of_the_system(system):
    model = build(system, small=True)
    stock = StockEncoders(model)
    ours = dict(encoder_weights(model))
    theirs = dict(stock.named_parameters())
    assert ours.keys() <= theirs.keys()
    # Only the layers in which WavFusion fuses are outside of its encoder.
    assert system == "wavfusion" or ours.keys() == theirs.keys()
    for name, weight in ours.items():
        assert weight.shape == theirs[name].shape
        assert weight.requires_grad == theirs[name].requires_grad


def test_peers_score_and_train_on_the_same_files():
    with peers.prepared(QUICK) as work:
        for kind, name in (("scoring", peers.OWN), ("speech", peers.STOCK_PIPELINE), ("training", peers.OWN)):
            getattr(work, kind)(name)()
    rows = peers.measure_times("scoring", [peers.OWN, peers.CROSS_ATTENTION], FIELDS)
    assert [row["what"] for row in rows] == [peers.OWN, peers.CROSS_ATTENTION]
    assert rows[1]["ratio"] == 1


def test_absent_speechbrain_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert peers.measure_speechbrain(QUICK) == {"what": "speechbrain wrapper: not installed"}


def test_slopes_are_exponents_and_are_drawn(tmp_path):
    rows = growth.slopes({"square": {"1": 2.0, "2": 8.0, "8": 128.0}, "constant": {"1": 5.0, "2": 5.0, "8": 5.0}})
    assert [row.get("slope square") for row in rows] == [None, pytest.approx(2), pytest.approx(2)]
    assert rows[2]["slope constant"] == 0
    tables = [{"title": axis, "rows": rows, "note": ""} for axis in growth.AXES]
    growth.draw(tables, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_growth_is_measured_at_every_point():
    lines = growth.measure_forward("batch size", (1, 2), FIELDS)
    assert all(list(costs) == [1, 2] and min(costs.values()) > 0 for costs in lines.values())


def test_half_precision_and_rows_alone_are_checked():
    row = correctness.check("text", build("text", small=True), QUICK)
    assert row["alone, float32"] < 1e-5 < row["bfloat16"] < 0.1
    assert row["same class"] == "2 of 2"


def test_heads_are_scaled_to_unit_deviation(fusion):
    batch = make_batch(fusion.config, QUICK.lengths)
    with torch.no_grad():
        correctness.scale_heads(fusion, batch)
        assert float(fusion(**batch).logits.std()) == pytest.approx(1, rel=1e-3)


def test_without_gpu_section_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (table,) = gpu.measure(quick=False)
    assert format_table(table) == "### GPU\n\nNot measured: no GPU."


def test_failed_measurement_does_not_lose_the_others():
    failures = []
    assert gpu.attempt("speech", failures, lambda: 1 / 0) is None
    assert gpu.attempt("text", failures, lambda: 1) == 1
    assert failures == ["speech (division by zero)"]


def test_tones_are_a_corpus(tmp_path):
    from emofusion.corpora.registry import CORPORA

    gpu.write_tones(tmp_path / "tones")
    folder = CORPORA["folder"]
    splits = folder.load(tmp_path / "tones", folder.parse())
    assert {name: len(rows) for name, rows in splits.items()} == gpu.UTTERANCES


def test_operations_of_attention_are_counted():
    query = torch.randn(1, 2, 8, 4, requires_grad=True)
    call = torch.nn.functional.scaled_dot_product_attention
    product = 2 * 2 * 8 * 8 * 4  # heads, queries, keys, width, and a multiplication is an addition too
    assert floors.count_operations(lambda: call(query, query, query)) == 2 * product
    assert floors.count_operations(lambda: call(query, query, query).sum().backward()) > 4 * product


def test_states_of_products_are_counted():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 5))
    assert floors.count_states(model, lambda: model(torch.zeros(7, 2))) == 7 * (3 + 5)


def test_floor_is_the_longer_of_computing_and_moving():
    assert floors.floor_ms(operations=3e9, moved=1e9, rate=1000, width=100) == pytest.approx(10)
    assert floors.floor_ms(operations=30e9, moved=1e9, rate=1000, width=100) == pytest.approx(30)


@pytest.mark.parametrize(
    ("call", "waits"),
    [
        (lambda x: x + 1, 0),
        (lambda x: x.masked_fill(x > 0, 0), 0),
        (lambda x: x[x > 0], 1),
        (lambda x: bool((x > 0).any()), 1),
        (lambda x: x.sum().item(), 1),
        (lambda x: x.nonzero(), 1),
        (lambda x: x.index_select(0, torch.arange(2)), 0),
    ],
)
def test_waits_for_a_device_are_counted(call, waits):
    x = torch.randn(4)
    assert floors.count_waits(lambda: call(x), "cpu") == waits


def test_settings_survive_json():
    assert as_setting({**FIELDS, "lengths": list(QUICK.lengths)}) == QUICK
    assert describe_clips((1.0, 2.5, 2.5)) == "3 clips of 1 / 2.5 s"
