import torch
from emofusion import SpeakerResNetConfig, SpeakerResNetModel
from emofusion.training.speaker.importing import NAMES, rename
from safetensors.torch import save_file

CONFIG = "{num_mel_bins: 16, hidden_sizes: [4], depths: [1], embedding_size: 8}"


def test_a_network_is_imported_with_names_of_its_own(call, complaint, tmp_path):
    torch.manual_seed(0)
    model = SpeakerResNetModel(SpeakerResNetConfig(num_mel_bins=16, hidden_sizes=[4], depths=[1], embedding_size=8))
    weights = {f"theirs.{name}": value for name, value in model.state_dict().items()}
    save_file(weights, tmp_path / "weights.safetensors")
    names = str({f"theirs.{'.'.join('*' * depth)}": ".".join("*" * depth) for depth in range(1, 9)})
    options = ["--names", names, "--model-config", CONFIG]
    printed = call("import-speaker", tmp_path / "weights.safetensors", tmp_path / "network", *options)
    assert f"--model_name_or_path {tmp_path / 'network'}" in printed
    loaded = SpeakerResNetModel.from_pretrained(tmp_path / "network")
    torch.testing.assert_close(loaded.state_dict(), model.state_dict())
    message = complaint("import-speaker", tmp_path / "weights.safetensors", tmp_path / "x", "--names", "[a]", status=2)
    assert "--names is no mapping" in message


def test_names_are_added_to_the_known_ones(call, tmp_path):
    model = SpeakerResNetModel(SpeakerResNetConfig(num_mel_bins=16, hidden_sizes=[4], depths=[1], embedding_size=8))
    ours = {target: theirs for theirs, target in NAMES.items() if target} | {"audio_encoder.stem.conv.*": "stem.*"}
    missing = "missing_modality_embeddings.audio"
    weights = {rename(name, ours, ""): value for name, value in model.state_dict().items() if name != missing}
    save_file(weights | {"bn1.extra": torch.zeros(1)}, tmp_path / "weights.safetensors")
    names = "{stem.*: audio_encoder.stem.conv.*, bn1.extra: null}"  # bn1.extra fits a known name too
    options = ["--names", names, "--model-config", CONFIG]
    call("import-speaker", tmp_path / "weights.safetensors", tmp_path / "network", *options)
    loaded = SpeakerResNetModel.from_pretrained(tmp_path / "network").state_dict()
    torch.testing.assert_close(loaded["audio_encoder.stem.conv.weight"], weights["stem.weight"])
