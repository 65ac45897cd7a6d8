"""A miniature MELD on disk, with every quirk of the corpus; all sentences are invented."""

import csv

import av
import numpy as np
import soundfile

RATE = 16000
HEADER = (
    *("Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"),
    *("Season", "Episode", "StartTime", "EndTime"),
)
TABLES = {"train": "train_sent_emo.csv", "dev": "dev_sent_emo.csv", "test": "test_sent_emo.csv"}
VIDEOS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}

# Text, speaker, emotion, sentiment, dialogue, utterance, start, end. The first text has the punctuation of older copies.
ROWS = {
    "train": [
        ("It\x92s\xa0late, \x93very\x94 late\x85", "Ada", "neutral", "neutral", 0, 0, "0:14:38,000", "0:14:39,500"),
        ("What a day!", "Ben", "joy", "positive", 0, 2, "00:14:40,100", "00:14:41,000"),
        ('She said "no", twice.', "All", "anger", "negative", 1, 0, "00:01:00,000", "00:01:01,000"),
        ("Really?", "Ada and Ben", "surprise", "positive", 1, 1, "00:01:01,000", "00:01:02,000"),
        ("This cannot be decoded.", "Ben", "fear", "negative", 125, 3, "00:02:00,000", "00:02:01,000"),
    ],
    "dev": [
        ("Oh no.", "Ada", "sadness", "negative", 0, 0, "00:03:00,000", "00:03:01,000"),
        ("This was never published.", "Ben", "disgust", "negative", 110, 7, "00:04:00,000", "00:04:01,000"),
    ],
    "test": [
        ("Fine.", "Ben", "neutral", "neutral", 0, 0, "00:05:00,000", "00:05:00,400"),
        ("This goes on for too long.", "Ada", "joy", "positive", 38, 4, "00:06:00,000", "00:06:01,000"),
    ],
}
WRONG_CUT = 4.0  # seconds of test dia38_utt4, in place of 305


def tone(seconds, frequency):
    """Return a sine `(samples,)`, float32."""
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def write_video(path, seconds, frequency, with_sound=True):
    """Write an MP4 of grey frames with a sine as sound."""
    with av.open(path, "w", format="mp4") as container:
        pictures = container.add_stream("mpeg4", rate=10)
        pictures.width = pictures.height = 32
        sound = container.add_stream("aac", rate=RATE, layout="mono") if with_sound else None
        for number in range(round(seconds * 10)):
            picture = np.full((32, 32, 3), 10 * number % 255, np.uint8)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(pictures.encode(None))
        if sound:
            frame = av.AudioFrame.from_ndarray(tone(seconds, frequency)[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE, 0
            container.mux([*sound.encode(frame), *sound.encode(None)])


def write_tables(root, rows=ROWS):
    """Write the three tables in the published form: quotes, CRLF, UTF-8."""
    for split, table in TABLES.items():
        with open(root / table, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\r\n")
            writer.writerow(HEADER)
            for number, (*said, dialogue, utterance, start, end) in enumerate(rows[split], 1):
                writer.writerow([number, *said, dialogue, utterance, 1, 2, start, end])


def seconds_of(split, row):
    return WRONG_CUT if (split, *row[4:6]) == ("test", 38, 4) else 0.5


def make_raw(root):
    """Write tables and videos, with their quirks, and return the root."""
    root.mkdir(exist_ok=True)
    write_tables(root)
    for split, folder in VIDEOS.items():
        (root / folder).mkdir()
        for row in ROWS[split]:
            name = f"dia{row[4]}_utt{row[5]}.mp4"
            if (split, name) == ("dev", "dia110_utt7.mp4"):
                continue
            (root / folder / f"._{name}").write_bytes(b"\x00\x05\x16\x07")
            if (split, name) == ("train", "dia125_utt3.mp4"):
                (root / folder / name).write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(200))
            else:
                write_video(root / folder / name, seconds_of(split, row), 300)
    write_video(root / VIDEOS["dev"] / "dia66_utt9.mp4", 0.5, 300)  # without a row
    write_video(root / VIDEOS["test"] / "final_videos_testdia0_utt0.mp4", 0.5, 900)
    return root


def make_reencoded(root, suffix="flac"):
    """Write tables and 16 kHz recordings, and return the root."""
    root.mkdir(exist_ok=True)
    write_tables(root)
    for split in TABLES:
        folder = root / "audio" / split
        folder.mkdir(parents=True)
        for row in ROWS[split]:
            if split == "dev" and row[4] == 110:
                continue
            path = folder / f"dia{row[4]}_utt{row[5]}.{suffix}"
            soundfile.write(path, tone(seconds_of(split, row), 600), RATE)
    return root
