"""Import of a speaker network: names, shapes, and a model that starts from it."""

import pickle

import pytest
import torch
import torch.nn.functional as F
from emofusion import SpeakerResNetConfig, SpeakerResNetModel
from emofusion.processing import EmoFusionProcessor
from emofusion.training.arguments import ModelArguments
from emofusion.training.model_building import build_model
from emofusion.training.speaker.importing import NAMES, import_speaker_network, rename
from safetensors.torch import save_file

FIELDS = {"num_mel_bins": 16, "hidden_sizes": [4, 8, 8, 8], "depths": [1, 2, 1, 1], "embedding_size": 6}


def layers(prefix, cin, cout, stride):
    """(name, convolution) of a block in the other toolkit."""
    yield f"{prefix}.conv1", f"{prefix}.bn1", torch.nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
    yield f"{prefix}.conv2", f"{prefix}.bn2", torch.nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
    if stride > 1 or cin != cout:
        yield f"{prefix}.shortcut.0", f"{prefix}.shortcut.1", torch.nn.Conv2d(cin, cout, 1, stride, bias=False)


@pytest.fixture(scope="module")
def foreign():
    """Weights as WeSpeaker names them, and the embedding that they compute of a spectrogram `(1, frames, bands)`."""
    torch.manual_seed(0)
    parts, blocks, before = [("conv1", "bn1", torch.nn.Conv2d(1, 4, 3, 1, 1, bias=False))], [], 4
    for stage, (size, depth) in enumerate(zip(FIELDS["hidden_sizes"], FIELDS["depths"], strict=True)):
        for number in range(depth):
            stride = 2 if stage and not number else 1
            blocks.append([*layers(f"layer{stage + 1}.{number}", before, size, stride)])
            parts += blocks[-1]
            before = size
    norms = {norm: torch.nn.BatchNorm2d(conv.out_channels) for _, norm, conv in parts}
    for norm in norms.values():
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        norm.running_mean.uniform_(-1, 1)
    linear = torch.nn.Linear(2 * 8 * 2, 6)
    modules = {
        **{name: conv for name, _, conv in parts},
        **norms,
        "seg_1": linear,
        "projection": torch.nn.Linear(6, 9),
    }
    weights = {
        f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()
    }

    @torch.no_grad()
    def embed(spectrogram):
        def layer(name, norm, conv, x):
            return norms[norm].eval()(conv(x))

        x = layer(*parts[0], spectrogram.transpose(1, 2)[:, None]).relu()
        for block in blocks:
            first, second, *shortcut = block
            x = (layer(*second, layer(*first, x).relu()) + (layer(*shortcut[0], x) if shortcut else x)).relu()
        statistics = torch.cat([x.mean(-1).flatten(1), x.std(-1, unbiased=False).flatten(1)], dim=-1)
        return linear(statistics)

    return weights, embed


def test_an_imported_network_computes_the_same_embedding(foreign, tmp_path):
    weights, embed = foreign
    save_file(weights, tmp_path / "theirs.safetensors")
    import_speaker_network(tmp_path / "theirs.safetensors", tmp_path / "network", fields=FIELDS)
    network = SpeakerResNetModel.from_pretrained(tmp_path / "network").eval()
    waveform = {"input_values": torch.randn(1, 8000)}
    with torch.no_grad():
        spectrogram = network.encode(**waveform).audio
        assert F.cosine_similarity(network(**waveform).embedding, embed(spectrogram)).item() > 0.9999
    assert isinstance(EmoFusionProcessor.from_pretrained(tmp_path / "network"), EmoFusionProcessor)
    emotion = build_model(ModelArguments("speaker_resnet", str(tmp_path / "network")), ["low", "high"])
    torch.testing.assert_close(emotion.model.audio_encoder.state_dict(), network.audio_encoder.state_dict())


@pytest.mark.parametrize(
    ("change", "fields", "message"),
    [
        (
            {},
            {"embedding_size": 5},
            r"seg_1.bias with the shape \(6,\), and embedding_projection.bias has \(5,\)",
        ),
        ({}, {"depths": [1, 1, 1, 1]}, "layer2.1.* becomes .*, which the network does not have"),
        ({"layer2.1.conv1.weight": None}, {}, "lacks 1 weight"),
        ({"gate.weight": torch.ones(1)}, {}, "has the weight gate.weight, which has no name of ours"),
        ({"seg_1.bias": torch.full((6,), torch.nan)}, {}, "seg_1.bias|embedding_projection.bias|finite|NaN"),
        ({}, {"depth": 3}, "unknown field 'depth'"),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_one_sentence(foreign, tmp_path, change, fields, message):
    weights = {name: value for name, value in {**foreign[0], **change}.items() if value is not None}
    save_file(weights, tmp_path / "theirs.safetensors")
    with pytest.raises(ValueError, match=message) as caught:
        import_speaker_network(tmp_path / "theirs.safetensors", tmp_path / "network", fields=FIELDS | fields)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "network").exists()


def test_a_pickle_is_not_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("opened").touch, ())

    for name in ("theirs.pt", "theirs.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(ValueError, match=r"not a safetensors file|damaged or incomplete"):
            import_speaker_network(tmp_path / name, tmp_path / "network")
    assert not (tmp_path / "opened").exists()
    with pytest.raises(FileNotFoundError, match="There is no file"):
        import_speaker_network(tmp_path / "nowhere.safetensors", tmp_path / "network")


def test_names_have_one_star_for_each_part():
    assert rename("layer3.5.bn2.running_mean", NAMES, "") == "audio_encoder.stages.2.5.second.norm.running_mean"
    assert rename("a.b", {"a.*": None, "*.b": "c.*"}, "") is None
    assert rename("d.b", {"a.*": None, "*.b": "c.*"}, "") == "c.d"
    with pytest.raises(ValueError, match=r"as many \* as a.\*"):
        rename("a.b", {"a.*": "c"}, "")


def test_default_names_fit_the_default_network():
    with torch.device("meta"):
        own = SpeakerResNetModel(SpeakerResNetConfig()).state_dict()
    targets = {target for target in NAMES.values() if target}
    fitting = [
        name for name in own if any(rename(name, {target: target}, "") for target in targets if _fits(name, target))
    ]
    assert len(fitting) == len(own) - 1  # all but the embedding of a missing recording


def _fits(name, target):
    parts = name.split("."), target.split(".")
    return len(parts[0]) == len(parts[1]) and all(b in ("*", a) for a, b in zip(*parts, strict=True))
