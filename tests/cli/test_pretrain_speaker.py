import numpy as np
import pytest
import soundfile
from emofusion.evaluation.results import SpeakerResults


def test_accuracy_and_verification_errors_are_printed(call, tmp_path):
    random = np.random.default_rng(0)
    for number in range(8):
        file = tmp_path / "voices" / f"id{number // 2}" / f"video{number % 2}" / "1.wav"
        file.parent.mkdir(parents=True)
        soundfile.write(file, 0.1 * random.normal(size=4000), 16000)
    trials = tmp_path / "trials.txt"
    trials.write_text("1 id2/video0/1.wav id2/video1/1.wav\n0 id2/video0/1.wav id3/video1/1.wav\n")
    (tmp_path / "recipe.yaml").write_text(
        "model_config: {num_mel_bins: 16, hidden_sizes: [4], depths: [1], embedding_size: 8}\n"
        "crop_seconds: [0.1, 0.2]\nnum_train_epochs: 1\nuse_cpu: true\ndisable_tqdm: true\n"
        f"corpus_root: {tmp_path / 'voices'}\n"
    )
    network = tmp_path / "network"
    printed = call("pretrain-speaker", tmp_path / "recipe.yaml", "--output_dir", network, "--test_trials", trials)
    results = SpeakerResults.read(network)
    assert results.data.speakers == 2
    assert f"test: EER {100 * results.metrics['test'].eer:.1f} %" in printed
    assert printed.count("validation: accuracy") == 1
    assert printed.count("  validation: loss") == 1
    assert f"--model_name_or_path {network}" in printed


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], 2),
        (["--output_dir", "corpus_root"], 1),
        (["--corpus_root", "nowhere"], 1),
        (["--seedd", "1"], 2),
        (["nowhere.yaml"], 2),
    ],
)
def test_what_is_wrong_is_named(complaint, arguments, status, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = complaint("pretrain-speaker", *arguments, status=status)
    assert not arguments or arguments[0] in message or arguments[-1] in message
