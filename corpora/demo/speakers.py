"""Voices of espeak-ng in the folder layout of VoxCeleb, for the pretraining of a small speaker network (ours).

They complement the spoken demonstration corpus: no voice of its validation and test splits is used, and there are no
emotion labels. They are a demonstration, never a benchmark.
"""

import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path

from tqdm.auto import tqdm

from ...configuration.modalities import SAMPLING_RATE
from ..atomic_write import workshop
from . import espeak, spoken

# Variants of espeak-ng that sound human (no robots, no whispering); each is a speaker.
VOICES = (
    "Alex", "Alicia", "Andy", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "Jacky", "Lee", "Marco", "Mario",
    "Michael", "Mike", "Reed", "RicishayMax", "adam", "announcer", "antonio", "aunty", "belinda", "benjamin", "boris",
    "caleb", "david", "ed", "edward", "edward2", "f1", "f3", "gustave", "ian", "iven", "iven2", "iven3", "john",
    "kaukovalta", "linda", "m1", "m2", "m4", "m7", "m8", "marcelo", "max", "michel", "miguel", "mike2", "norbert",
    "pablo", "paul", "pedro", "quincy", "rob", "sandro", "steph", "steph2", "steph3", "travis", "victor", "zac",
    "grandma", "grandpa",
)  # fmt: skip
TRIAL_SPEAKERS = 8  # speakers in the validation trials, and the same number of others in the test trials
VIDEOS = 4  # videos per speaker; all recordings of a video have the same manner of speaking
TRIALS = {"validation": "validation_trials.txt", "test": "test_trials.txt"}

README = """\
# Spoken speakers

{speakers} voices of the espeak-ng synthesiser, {recordings} recordings each, as <speaker>/<video>/<recording>, made
for emofusion (`corpora/demo/speakers.py`, seed={seed}). A demonstration, never a benchmark. No voice is in both
trial lists; every pair is from two different videos.
"""


def make_speakers(root: str | Path, recordings: int = 20, seed: int = 0) -> Path:
    """Synthesise the tree, unless it exists (half a minute).

    Args:
        root: Folder with one subfolder per set of options.
        recordings: Recordings per speaker, a multiple of 4.
        seed: Seed for sentences and manners of speaking.

    Returns:
        The folder of the tree, in which `validation_trials.txt` and `test_trials.txt` are trial lists.

    Raises:
        ValueError: If `recordings` is not a positive multiple of 4.
        ImportError: If `espeakng_loader` is not installed.
    """
    if recordings < VIDEOS or recordings % VIDEOS:
        raise ValueError(f"recordings must be a positive multiple of {VIDEOS}, not {recordings}.")
    tree = Path(root) / f"spoken-speakers-{recordings}-{seed}"
    if not tree.exists():
        tree.parent.mkdir(parents=True, exist_ok=True)
        with workshop(tree.parent, ".speakers-") as place:
            draft = place / tree.name
            _speak(draft, list(_recordings(recordings, seed)))
            for split, lines in _trials(recordings, seed).items():
                (draft / TRIALS[split]).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            readme = README.format(speakers=len(VOICES), recordings=recordings, seed=seed)
            (draft / "README.md").write_text(readme, encoding="utf-8")
            os.replace(draft, tree)
    return tree


def _speak(tree: Path, prompts: list[tuple[str, espeak.Prompt]]) -> None:
    import soundfile

    speeches = espeak.speak([prompt for _, prompt in prompts])
    for (path, _), speech in zip(tqdm(prompts, desc="Synthesising the speakers", disable=None), speeches, strict=True):
        samples = speech.waveform(SAMPLING_RATE)
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tree / path, samples, SAMPLING_RATE, subtype="PCM_16")


def _recordings(recordings: int, seed: int) -> Iterator[tuple[str, espeak.Prompt]]:
    """Yield path and prompt of every recording; the arousal of a video is random, from subdued to excited."""
    rng = random.Random(seed)
    for speaker, voice in enumerate(VOICES):
        for video in range(VIDEOS):
            strength = rng.uniform(1, 5)
            for number in range(recordings // VIDEOS):
                sentence, path = _sentence(rng), _path(speaker, video, number)
                yield path, espeak.Prompt(sentence, f"en-us+{voice}", **spoken.random_manner(strength, rng))


def _sentence(rng: random.Random) -> str:
    fillers = {slot: rng.choice(words) for slot, words in spoken.FILLERS.items()}
    frame, pole = rng.choice(spoken.FRAMES["train"]), rng.randrange(2)
    return frame.format(mood=rng.choice(spoken.MOODS)[pole], feeling=rng.choice(spoken.FEELINGS)[pole], **fillers)


def _trials(recordings: int, seed: int) -> dict[str, list[str]]:
    """Return the lines `label path path` of each list; half of its trials compare recordings of one speaker."""
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
