"""The processor's films."""

import av
import numpy as np
import pytest
import torch
from emofusion.processing import EmoFusionProcessor, load_video
from PIL import Image
from transformers import BertTokenizer, ViTImageProcessor, Wav2Vec2FeatureExtractor


def looker(size=6):
    return ViTImageProcessor(size={"height": size, "width": size})


def film(frames, seed=0, size=(10, 12)):
    return np.random.default_rng(seed).integers(0, 256, (frames, *size, 3), dtype=np.uint8)


def film_file(path, seconds=3):
    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
        for level in np.linspace(0, 255, 10 * seconds):
            picture = np.full((16, 16, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_films_become_what_the_image_processor_makes_of_their_pictures():
    films = [film(3, 1), None, film(1, 2, (20, 6))]
    batch = EmoFusionProcessor(image_processor=looker())(video=films)
    assert list(batch) == ["pixel_values_videos", "video_attention_mask"]
    assert batch["pixel_values_videos"].shape == (3, 3, 3, 6, 6)
    assert batch["pixel_values_videos"].dtype == torch.float32
    assert batch["video_attention_mask"].tolist() == [[1, 1, 1], [0, 0, 0], [1, 0, 0]]
    assert not batch["pixel_values_videos"][batch["video_attention_mask"] == 0].any()
    for row in (0, 2):
        for picture, pixels in zip(films[row], batch["pixel_values_videos"][row], strict=False):
            expected = looker()(Image.fromarray(picture), return_tensors="pt")["pixel_values"][0]
            assert torch.equal(pixels, expected)


def test_every_form_of_film_gives_the_same_row(tmp_path):
    path = film_file(tmp_path / "film.mp4")
    processor = EmoFusionProcessor(image_processor=looker(), frames_per_second=4.0)
    frames = load_video(path, 4.0)
    forms = [frames, torch.from_numpy(frames.copy()), path, str(path), path.read_bytes(), {"path": str(path)}]
    expected = processor(video=frames)["pixel_values_videos"]
    assert expected.shape == (1, 12, 3, 6, 6)
    for form in forms:
        assert torch.equal(processor(video=form)["pixel_values_videos"], expected)
    assert torch.equal(processor(video=forms)["pixel_values_videos"], expected.expand(len(forms), -1, -1, -1, -1))
    row = processor(video={"path": path, "start": 1.0, "end": 2.0, "crop": "left"})["pixel_values_videos"]
    assert torch.equal(row, processor(video=frames[4:8, :, :8])["pixel_values_videos"])


def test_max_seconds_cuts_films_and_fixed_padding_gives_fixed_shapes(tmp_path):
    path = film_file(tmp_path / "film.mp4")
    processor = EmoFusionProcessor(image_processor=looker(), max_seconds=1.5)
    assert processor(video=path)["video_attention_mask"].tolist() == [[1, 1, 1]]
    assert processor(video=film(9))["video_attention_mask"].tolist() == [[1, 1, 1]]
    assert processor(video=film(1), padding="max_length")["video_attention_mask"].tolist() == [[1, 0, 0]]


def test_speech_text_and_face_of_the_same_rows_are_one_batch():
    tokenizer = BertTokenizer(vocab={"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3})
    processor = EmoFusionProcessor(Wav2Vec2FeatureExtractor(), tokenizer, looker())
    audio = [np.full(800, 0.1, np.float32), None]
    batch = processor(audio=audio, text=[None, "so"], video=[film(2), film(1)], sampling_rate=16000)
    assert list(batch) == processor.model_input_names[:6]
    assert [len(values) for values in batch.values()] == [2] * 6


BAD_FILMS = {
    "floats": (film(2) / 255.0, ValueError, r"video\[1\] must be pictures of shape .* in uint8, not .* in float64"),
    "one picture": (film(2)[0], ValueError, r"video\[1\] must be .*not \(10, 12, 3\)"),
    "channels first": (film(2).transpose(0, 3, 1, 2), ValueError, r"video\[1\] must be .*not \(2, 3, 10, 12\)"),
    "no pictures": (film(0), ValueError, r"video\[1\] must be .*not \(0, 10, 12, 3\)"),
    "strange item": ({1, 2}, TypeError, r"video\[1\] must be an array.*not set"),
    "missing file": ("gone.mp4", FileNotFoundError, r"video\[1\]: gone.mp4 does not exist"),
    "broken bytes": (b"", ValueError, r"video\[1\]: the video is empty"),
}


@pytest.mark.parametrize("case", BAD_FILMS)
def test_a_bad_film_is_one_sentence_with_its_row(case):
    item, kind, message = BAD_FILMS[case]
    with pytest.raises(kind, match=message) as error:
        EmoFusionProcessor(image_processor=looker())(video=[None, item])
    assert "\n" not in str(error.value)


def test_pictures_that_are_not_made_equally_large_are_refused():
    processor = EmoFusionProcessor(image_processor=ViTImageProcessor(do_resize=False))
    with pytest.raises(ValueError, match=r"The image_processor must give pictures of one size, not \(3, .* and \(3"):
        processor(video=[film(1), film(1, size=(8, 8))])
