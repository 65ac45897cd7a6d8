"""What tells a model, and what it is loaded with, from others."""

from types import SimpleNamespace

from emofusion.inference.identity import identify_model, identify_transcriber

HUB = SimpleNamespace(model=SimpleNamespace(config=SimpleNamespace(_commit_hash="c0ffee")))


def test_model_is_identified_by_its_files(tmp_path):
    (tmp_path / "member_1").mkdir()
    changes = {
        "config.json": True,
        "README.md": False,
        "results.json": False,
        "model.safetensors": True,
        "member_1/tokenizer.json": True,
    }
    for name, matters in changes.items():
        before = identify_model(str(tmp_path), HUB)
        (tmp_path / name).write_text("{}")
        assert (identify_model(str(tmp_path), HUB) != before) == matters, name


def test_model_on_the_hub_is_identified_by_its_commit():
    assert identify_model("somebody/name", HUB) == "somebody/name@c0ffee"


def test_transcriber_is_identified_by_its_files_or_its_commit(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("{}")
    before = identify_transcriber(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert identify_transcriber(str(tmp_path)) != before
    snapshot = tmp_path / "snapshots" / "c0ffee" / "config.json"
    monkeypatch.setattr("emofusion.inference.identity.find_file", lambda *_: str(snapshot))
    assert identify_transcriber("openai/whisper-base") == "openai/whisper-base@c0ffee"
