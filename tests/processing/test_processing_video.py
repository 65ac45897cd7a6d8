"""Videos in the processor."""

import av
import numpy as np
import pytest
import torch
from emofusion.processing import EmoFusionProcessor, load_video
from PIL import Image
from transformers import BertTokenizer, ViTImageProcessor, Wav2Vec2FeatureExtractor


def image_processor(size=6):
    return ViTImageProcessor(size={"height": size, "width": size})


def frames_of(frames, seed=0, size=(10, 12)):
    return np.random.default_rng(seed).integers(0, 256, (frames, *size, 3), dtype=np.uint8)


def video_file(path, seconds=3):
    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
        for level in np.linspace(0, 255, 10 * seconds):
            picture = np.full((16, 16, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_frames_are_prepared_by_image_processor():
    videos = [frames_of(3, 1), None, frames_of(1, 2, (20, 6))]
    batch = EmoFusionProcessor(image_processor=image_processor())(video=videos)
    assert list(batch) == ["pixel_values_videos", "video_attention_mask"]
    assert batch["pixel_values_videos"].shape == (3, 3, 3, 6, 6)
    assert batch["pixel_values_videos"].dtype == torch.float32
    assert batch["video_attention_mask"].tolist() == [[1, 1, 1], [0, 0, 0], [1, 0, 0]]
    assert not batch["pixel_values_videos"][batch["video_attention_mask"] == 0].any()
    for row in (0, 2):
        for picture, pixels in zip(videos[row], batch["pixel_values_videos"][row], strict=False):
            expected = image_processor()(Image.fromarray(picture), return_tensors="pt")["pixel_values"][0]
            assert torch.equal(pixels, expected)


def test_every_form_of_video_gives_same_row(tmp_path):
    path = video_file(tmp_path / "video.mp4")
    processor = EmoFusionProcessor(image_processor=image_processor(), frames_per_second=4.0)
    frames = load_video(path, 4.0)
    forms = [frames, torch.from_numpy(frames.copy()), path, str(path), path.read_bytes(), {"path": str(path)}]
    expected = processor(video=frames)["pixel_values_videos"]
    assert expected.shape == (1, 12, 3, 6, 6)
    for form in forms:
        assert torch.equal(processor(video=form)["pixel_values_videos"], expected)
    assert torch.equal(processor(video=forms)["pixel_values_videos"], expected.expand(len(forms), -1, -1, -1, -1))
    row = processor(video={"path": path, "start": 1.0, "end": 2.0, "crop": "left"})["pixel_values_videos"]
    assert torch.equal(row, processor(video=frames[4:8, :, :8])["pixel_values_videos"])


def test_max_seconds_cuts_videos_and_sets_padded_length(tmp_path):
    path = video_file(tmp_path / "video.mp4")
    processor = EmoFusionProcessor(image_processor=image_processor(), max_seconds=1.5)
    assert processor(video=path)["video_attention_mask"].tolist() == [[1, 1, 1]]
    assert processor(video=frames_of(9))["video_attention_mask"].tolist() == [[1, 1, 1]]
    assert processor(video=frames_of(1), padding="max_length")["video_attention_mask"].tolist() == [[1, 0, 0]]


def test_all_modalities_form_one_batch():
    tokenizer = BertTokenizer(vocab={"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "so": 4})
    processor = EmoFusionProcessor(Wav2Vec2FeatureExtractor(), tokenizer, image_processor())
    audio = [np.full(800, 0.1, np.float32), None]
    batch = processor(audio=audio, text=[None, "so"], video=[frames_of(2), frames_of(1)], sampling_rate=16000)
    assert list(batch) == processor.model_input_names[:6]
    assert [len(values) for values in batch.values()] == [2] * 6


BAD_VIDEOS = {
    "floats": (frames_of(2) / 255.0, ValueError, r"video\[1\] must be frames of shape .* in uint8, not .* in float64"),
    "one frame": (frames_of(2)[0], ValueError, r"video\[1\] must be .*not \(10, 12, 3\)"),
    "channels first": (frames_of(2).transpose(0, 3, 1, 2), ValueError, r"video\[1\] must be .*not \(2, 3, 10, 12\)"),
    "no frames": (frames_of(0), ValueError, r"video\[1\] must be .*not \(0, 10, 12, 3\)"),
    "strange item": ({1, 2}, TypeError, r"video\[1\] must be an array.*not set"),
    "missing file": ("gone.mp4", FileNotFoundError, r"video\[1\]: gone.mp4 does not exist"),
    "broken bytes": (b"", ValueError, r"video\[1\]: the video is empty"),
}


@pytest.mark.parametrize("case", BAD_VIDEOS)
def test_bad_video_names_its_row(case):
    item, kind, message = BAD_VIDEOS[case]
    with pytest.raises(kind, match=message) as error:
        EmoFusionProcessor(image_processor=image_processor())(video=[None, item])
    assert "\n" not in str(error.value)


def test_images_of_different_sizes_are_refused():
    processor = EmoFusionProcessor(image_processor=ViTImageProcessor(do_resize=False))
    with pytest.raises(ValueError, match=r"The image_processor must give images of one size, not \(3, .* and \(3"):
        processor(video=[frames_of(1), frames_of(1, size=(8, 8))])
