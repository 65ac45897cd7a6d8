"""Many voices of espeak-ng in a tree as VoxCeleb's, to pre-train a small speaker network on (ours).

It goes with the spoken demonstration corpus: no voice of that corpus's validation and test parts is in it, and nothing
in it is labelled with an emotion. It is a demonstration, never a benchmark.
"""

import itertools
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tqdm.auto import tqdm

from . import espeak, spoken

# Variants of espeak-ng that sound like a person (no robots, no whispering), each one a speaker.
VOICES = (
    "Alex", "Alicia", "Andy", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "Jacky", "Lee", "Marco", "Mario",
    "Michael", "Mike", "Reed", "RicishayMax", "adam", "announcer", "antonio", "aunty", "belinda", "benjamin", "boris",
    "caleb", "david", "ed", "edward", "edward2", "f1", "f3", "gustave", "ian", "iven", "iven2", "iven3", "john",
    "kaukovalta", "linda", "m1", "m2", "m4", "m7", "m8", "marcelo", "max", "michel", "miguel", "mike2", "norbert",
    "pablo", "paul", "pedro", "quincy", "rob", "sandro", "steph", "steph2", "steph3", "travis", "victor", "zac",
    "grandma", "grandpa",
)  # fmt: skip
TRIAL_SPEAKERS = 8  # of whom the validation trials are made, and as many again for the test trials
VIDEOS = 4  # of each speaker; a speaker keeps to one manner of speaking in each, and to another in the next
TRIALS = {"validation": "validation_trials.txt", "test": "test_trials.txt"}

README = """\
# Spoken speakers

{speakers} voices of the espeak-ng synthesiser, {recordings} recordings each, as <speaker>/<video>/<recording>, made
for emofusion (`corpora/demo/speakers.py`, seed={seed}). A demonstration, never a benchmark. The trial lists
compare recordings of voices that are in no other list; every pair is from two different videos.
"""


def make_speakers(root: str | Path, recordings: int = 20, seed: int = 0) -> Path:
    """Speak the tree, unless it is there already (half a minute).

    Args:
        root: folder in which it is made, as a subfolder per choice of the options.
        recordings: of each speaker, a multiple of 4.
        seed: what is said and how is drawn from it.

    Returns:
        The tree, in which `validation_trials.txt` and `test_trials.txt` are trial lists.

    Raises:
        ValueError: if `recordings` is not a positive multiple of 4.
        ImportError: if `espeakng_loader` is not installed.
    """
    if recordings < VIDEOS or recordings % VIDEOS:
        raise ValueError(f"recordings must be a positive multiple of {VIDEOS}, not {recordings}.")
    tree = Path(root) / f"spoken-speakers-{recordings}-{seed}"
    if not tree.exists():
        tree.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".speakers-", dir=tree.parent) as workshop:
            draft = Path(workshop, tree.name)
            _speak(draft, list(_recordings(recordings, seed)))
            for split, lines in _trials(recordings, seed).items():
                (draft / TRIALS[split]).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            about = README.format(speakers=len(VOICES), recordings=recordings, seed=seed)
            (draft / "README.md").write_text(about, encoding="utf-8")
            os.replace(draft, tree)
    return tree


def _speak(tree: Path, prompts: list[tuple[str, espeak.Prompt]]) -> None:
    import soundfile

    speeches = espeak.speak([prompt for _, prompt in prompts])
    for (path, _), speech in zip(tqdm(prompts, desc="Speaking the speakers"), speeches, strict=True):
        samples = speech.waveform(spoken.SAMPLING_RATE)
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tree / path, samples, spoken.SAMPLING_RATE, subtype="PCM_16")


def _recordings(recordings: int, seed: int) -> Iterator[tuple[str, espeak.Prompt]]:
    """Path and prompt of every recording; a video's manner lies anywhere between subdued and excited."""
    rng = random.Random(seed)
    for speaker, voice in enumerate(VOICES):
        for video in range(VIDEOS):
            strength = rng.uniform(1, 5)
            for number in range(recordings // VIDEOS):
                yield (
                    _path(speaker, video, number),
                    espeak.Prompt(
                        _sentence(rng),
                        f"en-us+{voice}",
                        rate=round(80 + 45 * strength + rng.uniform(-5, 5)),
                        pitch=round(50 + 6 * (strength - 3) + rng.uniform(-4, 4)),
                        pitch_range=round(50 + 20 * (strength - 3) + rng.uniform(-8, 8)),
                        volume=round(14 + 12 * strength + rng.uniform(-3, 3)),
                    ),
                )


def _sentence(rng: random.Random) -> str:
    fillers = {slot: rng.choice(words) for slot, words in spoken.FILLERS.items()}
    frame, pole = rng.choice(spoken.FRAMES["train"]), rng.randrange(2)
    return frame.format(mood=rng.choice(spoken.MOODS)[pole], feeling=rng.choice(spoken.FEELINGS)[pole], **fillers)


def _trials(recordings: int, seed: int) -> dict[str, list[str]]:
    """As many trials of one speaker as of two, in lines `label path path`."""
    rng, each, lists = random.Random(seed), recordings // VIDEOS, {}
    chosen = rng.sample(range(len(VOICES)), 2 * TRIAL_SPEAKERS)
    for split, speakers in zip(TRIALS, (chosen[:TRIAL_SPEAKERS], chosen[TRIAL_SPEAKERS:]), strict=True):
        lists[split] = []
        for speaker, first, second in itertools.product(speakers, range(VIDEOS), range(VIDEOS)):
            if first < second:
                stranger = rng.choice([other for other in speakers if other != speaker])
                for number in range(each):
                    start = _path(speaker, first, number)
                    lists[split].append(f"1 {start} {_path(speaker, second, rng.randrange(each))}")
                    lists[split].append(f"0 {start} {_path(stranger, second, rng.randrange(each))}")
    return lists


def _path(speaker: int, video: int, number: int) -> str:
    return f"id{10001 + speaker}/video{video + 1}/{number + 1:05d}.wav"
