"""The folder of a speaker network, loaded by a process that cannot import emofusion."""

import torch
from emofusion import SpeakerResNetConfig, SpeakerResNetForSpeakerRecognition
from emofusion.hub import write_bundle
from emofusion.processing import EmoFusionProcessor
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2FeatureExtractor

LOAD = """
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForAudioXVector, AutoProcessor

waveform = load_file("waveform.safetensors")["waveform"].numpy()
batch = AutoProcessor.from_pretrained("network", trust_remote_code=True)(waveform, sampling_rate=16000)
speaker = AutoModelForAudioXVector.from_pretrained("network", trust_remote_code=True)
base = AutoModel.from_pretrained("network", trust_remote_code=True)
assert type(speaker).__module__.startswith("transformers_modules.")
output = speaker(**batch)
results = {"logits": output.logits, "embedding": output.embedding, "base": base(**batch).embedding}
save_file({name: value.detach().clone() for name, value in results.items()}, "results.safetensors")
"""


def test_a_speaker_network_loads_without_emofusion(tmp_path, run_python):
    torch.manual_seed(0)
    config = SpeakerResNetConfig(num_mel_bins=16, hidden_sizes=[4, 8], depths=[1, 1], embedding_size=8, num_speakers=5)
    model = SpeakerResNetForSpeakerRecognition(config).eval()
    processor = EmoFusionProcessor(Wav2Vec2FeatureExtractor(), None)
    folder = tmp_path / "network"
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    write_bundle(model, folder, processor)
    waveform = torch.randn(4000)
    save_file({"waveform": waveform}, tmp_path / "waveform.safetensors")
    run_python(LOAD, cwd=tmp_path)
    results = load_file(tmp_path / "results.safetensors")
    with torch.no_grad():
        output = model(**processor(waveform.numpy(), sampling_rate=16000))
    torch.testing.assert_close(results["logits"], output.logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(results["embedding"], output.embedding, rtol=0, atol=1e-6)
    torch.testing.assert_close(results["base"], output.embedding, rtol=0, atol=1e-6)
