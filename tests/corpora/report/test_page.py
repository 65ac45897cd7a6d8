"""The report on a prepared corpus: its numbers, its safety, and incomplete corpora."""

import base64
import io
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import emofusion.corpora.report.page as report_module
import numpy as np
import pytest
import soundfile
from datasets import Dataset, DatasetDict
from emofusion.configuration.plain_text import format_seconds
from emofusion.corpora import prepare_corpus
from emofusion.corpora.iemocap.corpus import IEMOCAP
from emofusion.corpora.records import Prepared
from emofusion.corpora.report import charts
from emofusion.corpora.report.page import write_corpus_report
from emofusion.corpora.schema import features
from testing_iemocap import build_iemocap
from testing_meld import RATE, tone

LABELS = ["glad", "sad", "so-so"]
EVIL = '<script>alert("x")</script> & $\\nothing$'


class Page(HTMLParser):
    """Rows of tables per section, all tags with their attributes, and all text outside of charts."""

    def __init__(self, path):
        super().__init__()
        self.tables, self.tags, self.text, self.section = {}, [], "", None
        self.cell, self.chart = None, 0
        self.source = path.read_text("utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        attributes, self.text = dict(attributes), self.text + " "
        self.tags.append((tag, attributes))
        if tag == "section":
            self.section = attributes["aria-labelledby"]
        elif tag == "table":
            self.tables.setdefault(self.section, []).append([])
        elif tag == "tr":
            self.tables[self.section][-1].append([])
        elif tag in ("td", "th"):
            self.cell = ""
        elif tag in ("svg", "style"):
            self.chart += 1

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.tables[self.section][-1][-1].append(" ".join(self.cell.split()))
            self.cell = None
        elif tag in ("svg", "style"):
            self.chart -= 1

    def handle_data(self, data):
        if not self.chart:
            self.text += data
        if self.cell is not None:
            self.cell += data

    def table(self, section, number=0):
        """Return the rows of a table without its head, each by its first cell."""
        return {first: rest for first, *rest in self.tables[section][number][1:]}


def make_rows(folder):
    """Return rows with and without every optional column."""
    rows = []
    for number in range(24):
        path = folder / f"{number}.wav"
        seconds = 6.5 if number == 0 else 0.2 + 0.01 * number
        soundfile.write(path, tone(seconds, 200 + number), RATE)
        row = {
            "id": f"u{number:02}",
            "audio": {"path": str(path), "bytes": None, "start": None, "end": None},
            "text": " ".join(["word"] * (number % 7)) or None,
            "label": number % 5 % 3,
            "speaker": f"s{number % 4}" if number % 6 else None,
            "session": "one" if number < 10 else "two",
        }
        if number % 2:  # times in the dialogue give the duration
            row |= {"start": 3.0, "end": 3.0 + seconds, "scripted": number % 3 == 0, "asr_text": "word"}
        if number % 4 == 0:
            row |= {
                "vad": {"valence": 1.5 + number / 10, "arousal": 2.0, "dominance": None},
                "soft_label": [1.0, 0.0, 0.0],
            }
        if number % 3 == 0:
            segments = {"start": [0.0], "end": [0.1], "symbol": ["word"]}
            empty = {"start": [], "end": [], "symbol": []}
            row |= {"alignment": {"word": segments, "syllable": None, "phone": empty}}
        rows.append(row)
    rows[2]["audio"] |= {"start": 0.05, "end": 0.15}
    return rows


def as_prepared(rows, problems=(), corpus="folder", labels=LABELS, **metadata):
    schema = features(labels)
    whole = [{**dict.fromkeys(schema), **row} for row in rows]
    half = len(whole) // 2
    rows_of = {"train": whole[:half], "test": whole[half:]}
    columns = {name: {column: [row[column] for row in own] for column in schema} for name, own in rows_of.items()}
    splits = DatasetDict({name: Dataset.from_dict(own, features=schema) for name, own in columns.items()})
    metadata = {"corpus": corpus, "options": {}, "root": "/data/mine", "decoded": True, "embedded": False} | metadata
    return Prepared(Path("prepared"), splits, list(problems), metadata)


def write(tmp_path, prepared, published=None, count_by="session"):
    path = tmp_path / "report.html"
    write_corpus_report(prepared, published or {}, count_by, path)
    return Page(path)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    return write(folder, as_prepared(make_rows(folder)))


@pytest.fixture
def without_charts(monkeypatch):
    """Skip the drawing of charts, which takes most of the time of a page."""
    for name in ("draw_balance", "draw_distribution", "draw_dimensions", "draw_ratings"):
        monkeypatch.setattr(charts, name, lambda *arguments: "<svg></svg>")


quick = pytest.mark.usefixtures("without_charts")


def found(kind, dropped=False, known=False, **columns):
    return {"kind": kind, "id": None, "file": None, "what": "It is so.", "dropped": dropped, "known": known, **columns}


@quick
def test_numbers_agree_with_slow_count(tmp_path):
    rows = make_rows(tmp_path)
    page = write(tmp_path, as_prepared(rows))
    lengths = {}
    for row in rows:
        audio = row["audio"]
        whole = soundfile.info(audio["path"]).duration
        lengths[row["id"]] = whole if audio["end"] is None else audio["end"] - audio["start"]

    counts = Counter((row["session"], LABELS[row["label"]]) for row in rows)
    table = page.table("counts")
    for session in ("one", "two"):
        expected = [counts[session, label] for label in LABELS]
        assert table[session] == [str(count) for count in (*expected, sum(expected))]
    assert table["all"][-1] == "24"

    length, words = page.table("length"), page.table("length", 1)
    for number, label in enumerate(LABELS):
        seconds = [lengths[row["id"]] for row in rows if row["label"] == number]
        assert length[label][0] == str(len(seconds))
        assert length[label][1:4] == [f"{value:.1f}" for value in np.quantile(seconds, (0.05, 0.5, 0.95))]
        assert length[label][4] == f"{sum(seconds):.1f} s"
        spoken = [len(row["text"].split()) for row in rows if row["label"] == number and row["text"]]
        assert words[label][0::4] == [str(len(spoken)), str(sum(spoken))]
        assert words[label][2] == f"{np.median(spoken):g}"

    speakers = page.table("speakers")
    for name in ("s0", "s1", "s2", "s3", None):
        theirs = [row for row in rows if row["speaker"] == name]
        per_class = [sum(row["label"] == number for row in theirs) for number in range(3)]
        seconds = sum(lengths[row["id"]] for row in theirs)
        assert speakers[name or "unknown"] == [*map(str, per_class), str(len(theirs)), f"{seconds:.1f} s"]

    beside = {name: int(cells[0]) for name, cells in page.table("beside").items()}
    assert beside["text"] == sum(row["text"] is not None for row in rows)
    assert beside["recognised text"] == 12
    assert beside["speaker"] == sum(row["speaker"] is not None for row in rows)
    assert beside["soft label"] == beside["valence"] == beside["arousal"] == 6
    assert beside["alignment of words"] == 8
    assert (
        beside["alignment of phones"]
        == beside["alignment of syllables"]
        == beside["dominance"]
        == beside["video"]
        == 0
    )
    assert (beside["scripted"], beside["improvised"]) == (4, 8)

    valence = [row["vad"]["valence"] for row in rows if "vad" in row and row["label"] == 0]
    assert page.table("dimensions")["glad"][0] == f"{np.mean(valence):.2f} ± {np.std(valence):.2f} ({len(valence)})"


@quick
def test_counts_unlike_published_ones_are_marked(tmp_path):
    rows = [row | {"session": "one"} for row in make_rows(tmp_path)]
    counts = Counter(LABELS[row["label"]] for row in rows)
    published = {"one": dict(counts) | {"sad": counts["sad"] + 2}, "lost": {"glad": 1}}
    page = write(tmp_path, as_prepared(rows), published)
    table = page.table("counts")
    assert table["one"][0] == f"{counts['glad']} ✓"
    assert table["one"][1] == f"{counts['sad']} ≠ {counts['sad'] + 2}−2"
    assert table["lost"][:2] == ["0 ≠ 1−1", "0"]
    assert "counts differ from the published counts" in page.text

    page = write(tmp_path, as_prepared(rows), {"one": dict(counts)})
    assert "All 8 counts agree with the published counts" in " ".join(page.text.split())
    assert "≠" not in page.text


@quick
def test_groups_and_speakers_beyond_limit_are_summed(tmp_path, monkeypatch):
    monkeypatch.setattr(report_module, "GROUPS", 2)
    monkeypatch.setattr(report_module, "SPEAKERS", 2)
    rows = [row | {"session": f"Ses{number % 6}"} for number, row in enumerate(make_rows(tmp_path))]
    page = write(tmp_path, as_prepared(rows))
    assert {name: cells[-1] for name, cells in page.table("counts").items()} == {
        "Ses0": "4",
        "Ses1": "4",
        "4 others": "16",
        "all": "24",
    }
    assert {name: cells[-2] for name, cells in page.table("speakers").items()} == {
        "s1": "6",
        "s3": "6",
        "3 others": "12",
    }


@quick
def test_problems_are_grouped(tmp_path):
    problems = [
        *(found("missing", dropped=True, id=f"lost{number}", file="/data/mine/a.wav") for number in range(7)),
        found("too short", what="/data/mine/b.wav is short."),
        *[found("unnumbered", dropped=True, known=True)] * 3,
    ]
    text = " ".join(write(tmp_path, as_prepared(make_rows(tmp_path), problems)).text.split())
    assert "left out 10 3 known for every copy problems of this copy 8 3 more known for every copy" in text
    assert text.index("missing: 7 all left out") < text.index("too short: 1 nothing left out")
    assert (
        text.index("too short: 1")
        < text.index("Known for every copy These")
        < text.index("unnumbered: 3 all left out")
    )
    assert "lost4" in text
    assert "lost5" not in text
    assert "and 2 more in problems.json" in text
    assert "b.wav is short" in text
    assert "/data" not in text


def test_values_of_corpus_are_escaped(tmp_path):
    labels = [EVIL, "_hidden", "so-so"]
    rows = [row | dict.fromkeys(("text", "speaker", "session", "asr_text"), EVIL) for row in make_rows(tmp_path)]
    for number, row in enumerate(rows):
        row["id"] = f"{EVIL}{number}"
    problems = [found(EVIL, id=EVIL, file=EVIL, what=EVIL)]
    prepared = as_prepared(
        rows, problems, labels=labels, options={"labels": [EVIL]}, root=f"/data/{EVIL.replace('/', '')}"
    )
    page = write(tmp_path, prepared, {EVIL: {EVIL: 1}})
    assert "script" not in {tag for tag, _ in page.tags}
    assert "<script" not in page.source
    assert EVIL in page.text
    assert '&lt;script&gt;alert("x")' in page.source  # as charts escape it, which are markup already


def test_page_loads_nothing(page):
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
                assert value.startswith(("#", "data:")), (tag, value[:80])
            assert not name.startswith("on")
    assert not re.search(r"url\((?!#)|@import", page.source)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "embed", "base"})
    policy = next(attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'")


def test_page_is_reproducible_and_its_ids_are_unique(page, tmp_path):
    again = write(tmp_path, as_prepared(make_rows(tmp_path)))
    assert again.source == page.source
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    links = {value[1:] for _, attributes in page.tags if (value := attributes.get("href", "")).startswith("#")}
    assert links <= {*names}
    assert not [file for file in tmp_path.iterdir() if file.suffix != ".wav" and file.name != "report.html"]


def test_charts_and_players_are_described(page):
    pictures = [attributes for tag, attributes in page.tags if attributes.get("role") == "img"]
    assert len(pictures) == 5
    assert all(picture["aria-label"] for picture in pictures)
    assert all(attributes["aria-label"] for tag, attributes in page.tags if tag == "audio")


def samples(page):
    """Return the waveforms and rates of the players."""
    players = [attributes["src"] for tag, attributes in page.tags if tag == "audio"]
    return [soundfile.read(io.BytesIO(base64.b64decode(player.partition(",")[2]))) for player in players]


@quick
def test_samples_are_16_khz_and_cut(tmp_path):
    rows = make_rows(tmp_path)
    soundfile.write(rows[0]["audio"]["path"], np.stack([tone(6.5, 300)] * 2, axis=1), RATE)
    played = samples(write(tmp_path, as_prepared(rows[:4])))
    lengths = sorted(len(waveform) for waveform, _ in played)
    assert {rate for _, rate in played} == {16000}
    assert lengths == [round(0.1 * 16000), round(0.21 * 16000), round(0.23 * 16000), 5 * 16000]
    longest = max((waveform for waveform, _ in played), key=len)
    np.testing.assert_allclose(longest, tone(6.5, 300)[: len(longest)], atol=1e-4)


@quick
def test_samples_of_class_come_from_several_speakers(tmp_path):
    rows = make_rows(tmp_path)
    for number, row in enumerate(rows):
        row |= {"label": number % 2, "speaker": {5: "s1", 8: "s2", 13: "s3", 14: None}.get(number, "s0")}
    page = write(tmp_path, as_prepared(rows))
    assert len(samples(page)) == 6
    listen = page.text[page.text.rindex("Listen") :]
    assert {*re.findall(r"glad\s+(s\d|unknown speaker)", listen)} == {"s0", "s2", "unknown speaker"}
    assert {*re.findall(r"sad\s+(s\d|unknown speaker)", listen)} == {"s0", "s1", "s3"}


@quick
def test_embedded_recordings_are_measured_and_played(tmp_path):
    rows = make_rows(tmp_path)
    paths = [row["audio"]["path"] for row in rows]
    for row, path in zip(rows, paths, strict=True):
        row["audio"] = {"path": "u.flac", "bytes": Path(path).read_bytes(), "start": None, "end": None}
    page = write(tmp_path, as_prepared(rows, embedded=True))
    total = sum(soundfile.info(path).duration for path in paths)
    assert page.table("length")["all"][-1] == format_seconds(total)
    assert len(samples(page)) == 9


@quick
@pytest.mark.parametrize("content", [b"", b"no recording", None])
def test_broken_recordings_do_not_break_page(tmp_path, content):
    rows = make_rows(tmp_path)[:4]
    for row in rows[:2]:
        path = tmp_path / row["audio"]["path"]
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    page = write(tmp_path, as_prepared(rows))
    assert len(samples(page)) == 2
    assert page.text.count("This recording cannot be played") == 2
    assert "1 of unknown length" in page.text  # the other has times in its dialogue


def test_corpus_with_recordings_only_has_page(tmp_path):
    rows = [{"id": row["id"], "audio": row["audio"], "label": None} for row in make_rows(tmp_path)]
    page = write(tmp_path, as_prepared(rows), count_by="split")
    assert page.table("counts") == {"train": ["0", "0", "0", "12", "12"], "test": ["0", "0", "0", "12", "12"]} | {
        "all": ["0", "0", "0", "24", "24"]
    }
    assert "No utterance has a text" in page.text
    assert not {"speakers", "dimensions"} & page.tables.keys()
    assert write(tmp_path, as_prepared(rows)).table("counts") == {"unknown": ["0", "0", "0", "24", "24"]}


@quick
def test_many_classes_have_one_sample_each(tmp_path):
    labels = [f"emotion {number}" for number in range(14)]
    rows = [row | {"label": number % 14} for number, row in enumerate(make_rows(tmp_path))]
    page = write(tmp_path, as_prepared(rows, labels=labels))
    assert len(samples(page)) == 12
    chips = [
        (attributes["class"], attributes["style"])
        for tag, attributes in page.tags
        if "chip" in attributes.get("class", "")
    ]
    assert len(set(chips)) == 14


@quick
def test_corpus_without_rows_has_no_page(tmp_path):
    with pytest.raises(ValueError, match="has no row"):
        write(tmp_path, as_prepared([]))
    assert not (tmp_path / "report.html").exists()


def test_iemocap_is_shown_with_published_counts(tmp_path):
    prepared = prepare_corpus("iemocap", build_iemocap(tmp_path), tmp_path / "prepared")
    path = prepared.folder / "report.html"
    write_corpus_report(prepared, IEMOCAP.published_counts(IEMOCAP.parse()), IEMOCAP.count_by, path)
    page = Page(path)
    for session, counts in prepared.metadata["counts"].items():
        cells = [cell.partition(" ")[0] for cell in page.table("counts")[session]]
        assert cells == [
            *(str(counts.get(label, 0)) for label in ("angry", "happy", "neutral", "sad")),
            str(sum(counts.values())),
        ]
    assert "1,103" in page.table("counts")["all"][0]
    assert "University of Southern California" in page.text
    assert str(tmp_path) not in page.text
