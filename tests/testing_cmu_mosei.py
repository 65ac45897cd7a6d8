"""A miniature of the raw CMU-MOSEI on disk, with every peculiarity that the loader handles; all sentences are invented."""

import csv
from pathlib import Path

import soundfile
from testing_meld import RATE, tone, write_video

# Video -> its segments: number, start, end, text; sentiment and intensities (happiness, sadness, anger, surprise, disgust,
# fear) of three raters, None for a segment without an annotation.
NOTHING = (0, 0, 0, 0, 0, 0)
SEGMENTS = {
    "-aB_": [
        (0, -0.02, 0.3, "I like it.", [(2, (2, 0, 0, 0, 0, 0)), (3, (3, 0, 0, 1, 0, 0)), (3, (1, 0, 0, 0, 0, 0))]),
        (2, 0.35, 0.6, "It is ___ late", [(-1, (0, 1, 0, 0, 0, 0)), (-2, (0, 0, 1, 0, 0, 0)), (0, NOTHING)]),
        (10, 0.6, 0.9, "It is round.", [(0, NOTHING)] * 3),
        (3, 0.9, 1.0, "Nobody rated this.", None),
    ],
    "12345": [
        (0, 0.0, 0.5, "Not good.", [(-3, (0, 0, 0, 0, 3, 0))] * 3),
        (1, 0.5, 0.9, "A little better.", [(0, (0, 2, 0, 0, 1, 0))] * 3),
    ],
    "x__y": [
        (0, 0.0, 0.5, "So, so.", [(1, (0, 0, 0, 0, 0, 1))] * 3),
        (1, 0.5, 0.9, "Well done!", [(3, (1, 0, 0, 3, 0, 0))] * 3),
    ],
    "zz": [(0, 0.0, 0.5, "In no fold.", [(0, NOTHING)] * 3)],
}
FOLDS = {"train": ["-aB_"], "valid": ["12345"], "test": ["x__y", "of another copy"]}
ANSWERS = ("happiness", "sadness", "anger", "surprise", "disgust", "fear")


def mean_of(answers):
    """Return mean sentiment and intensities of the answers of raters."""
    columns = zip(*((sentiment, *emotions) for sentiment, emotions in answers), strict=True)
    return [sum(column) / len(answers) for column in columns]


def write_answers(folder: Path) -> None:
    """Write the answers of raters in two tables, with ids in two forms, an incomplete answer, and a table of another kind."""
    folder.mkdir(parents=True)
    rows = [
        [
            "w1",
            f"videos/{video}" if video == "12345" else video,
            f"{number}.0" if number == 2 else number,
            sentiment,
            *emotions,
        ]
        for video, segments in SEGMENTS.items()
        for number, _, _, _, answers in segments
        for sentiment, emotions in answers or ()
    ]
    header = ["WorkerId", "Input.VIDEO_ID", "Input.CLIP", *(f"Answer.{name}" for name in ("sentiment", *ANSWERS))]
    for name, part in (("batch.csv", rows[:4]), ("more.csv", [*rows[4:], ["w2", "-aB_", 3, "", *NOTHING]])):
        with open(folder / name, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *part])
    (folder / "workers.csv").write_text("WorkerId,Country\nw1,XX\n")


def write_means(path: Path) -> None:
    """Write the means as a table with times, as exported from the label sequence of the SDK."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "start", "end", "sentiment", "happy", "sad", "anger", "surprise", "disgust", "fear"])
        for video, segments in SEGMENTS.items():
            for _, start, end, _, answers in segments:
                if answers:
                    writer.writerow([video, start, end + 0.001, *mean_of(answers)])


def write_folds(path: Path) -> None:
    path.write_text("".join(f"standard_{fold}_fold={videos!r}\n" for fold, videos in FOLDS.items()))


def make_cmu_mosei(root: Path, means: bool = False, videos: bool = False) -> Path:
    """Build the tree and return its root, the folder around `Raw`."""
    raw = root / "Raw"
    for folder in ("Transcript/Segmented/Combined", "Audio/Full/WAV_16000", "Videos/Full/Combined"):
        (raw / folder).mkdir(parents=True)
    for video, segments in SEGMENTS.items():
        lines = [f"{video}___{number}___{start}___{end}___{text}\n" for number, start, end, text, _ in segments]
        path = raw / f"Transcript/Segmented/Combined/{video}.txt"
        path.write_text("".join([*lines, "no segment\n", "\n"]), encoding="utf-8")
        soundfile.write(raw / f"Audio/Full/WAV_16000/{video}.wav", tone(1.0, 300), RATE)
    if videos:
        write_video(raw / "Videos/Full/Combined/-aB_.mp4", 1.0, 300)
        (raw / "Videos/Segmented/Combined").mkdir(parents=True)
        write_video(raw / "Videos/Segmented/Combined/x__y_0.mp4", 0.5, 300)
    if means:
        write_means(root / "CMU_MOSEI_Labels.csv")
    else:
        write_answers(raw / "Labels")
    write_folds(root / "cmu_mosei_std_folds.py")
    return root
