"""Valence, arousal and dominance in a folder of recordings: columns, their scale, and values that cannot be used."""

import pytest
from emofusion.corpora import describe_corpus, load_corpus
from emofusion.corpora.folder.corpus import FOLDER
from testing_folder import make_folder, make_rows, write_metadata


def read(root, **options):
    found = FOLDER.scan(root, FOLDER.parse(**options))
    return list(found.rows), [problem["what"] for problem in found.problems]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_ratings_are_read_on_their_scale(tmp_path, kind):
    values = [(1, 2.5), (None, 7), (float("nan"), None), (3.25, 4)]
    rows = [
        row | {"valence": valence, "arousal": arousal}
        for row, (valence, arousal) in zip(make_rows(2), values, strict=True)
    ]
    make_folder(tmp_path, rows, kind)
    if kind == "csv":  # which holds None and NaN as empty cells
        rows[2]["valence"] = ""
        write_metadata(tmp_path, rows)
    found, problems = read(tmp_path, dimension_scale=[1, 7])
    assert problems == []
    assert [row["vad"] for row in found] == [
        {"valence": 1.0, "arousal": 2.5, "dominance": None},
        {"valence": None, "arousal": 7.0, "dominance": None},
        None,
        {"valence": 3.25, "arousal": 4.0, "dominance": None},
    ]


def test_values_outside_of_the_scale_or_no_numbers_are_named(tmp_path):
    cells = ("5.01", "0.5", "very", "NaN", "inf", "-1e400", " 3 ", "1_0")
    rows = [row | {"dominance": cell} for row, cell in zip(make_rows(4), cells, strict=True)]
    found, problems = read(make_folder(tmp_path, rows), dimension_scale=[1, 5])
    assert [row["vad"] and row["vad"]["dominance"] for row in found] == [None] * 6 + [3.0, None]
    assert problems == [
        f"metadata.csv, row {number}, is kept without dominance: {cell!r} is not a number from 1 to 5."
        for number, cell in enumerate(cells, 1)
        if cell != " 3 "
    ]


def test_ratings_without_scale_are_not_read_and_named(tmp_path):
    root = make_folder(tmp_path, [row | {"valence": 2, "dominance": ""} for row in make_rows(1)])
    found, problems = read(root)
    assert {row["vad"] for row in found} == {None}
    assert problems == ["Values of valence are not read: give their scale as dimension_scale, such as [1, 5]."]


def test_rows_with_ratings_need_no_label(tmp_path):
    rows = make_rows(6)
    for number, row in enumerate(rows):
        row["valence"] = number % 5 - 2
        if number % 2:
            row["label"] = ""
    rows[1]["valence"] = rows[2]["valence"] = ""
    make_folder(tmp_path, rows)
    with pytest.warns(UserWarning, match="1 no label"):
        corpus = load_corpus("folder", tmp_path, dimension_scale=[-2, 2])
    ratings = {row["id"]: row["vad"] and row["vad"]["valence"] for rows in corpus.values() for row in rows}
    assert len(ratings) == 11
    assert rows[1]["file_name"] not in ratings
    assert ratings[rows[3]["file_name"]] == 1.0


def test_a_folder_may_have_ratings_only(tmp_path):
    rows = [row | {"label": None, "arousal": 0.5} for row in make_rows(6)]
    corpus = load_corpus("folder", make_folder(tmp_path, rows, "jsonl"), dimension_scale=[0, 1])
    assert sum(map(len, corpus.values())) == 12
    assert set(corpus) == {"train", "validation", "test"}


def test_the_scale_is_described():
    assert describe_corpus("folder")["dimension_scale"] is None
    assert describe_corpus("folder", dimension_scale=[0, 1])["dimension_scale"] == [0.0, 1.0]


@pytest.mark.parametrize(
    "scale", [[1], [5, 1], [1, 1], [1, float("nan")], [1, "5"], [True, 5], "15", 5, [1, 2, 3], [0, 10**400]]
)
def test_an_invalid_scale_is_refused(scale):
    with pytest.raises(ValueError, match=r"dimension_scale (must|is)"):
        FOLDER.parse(dimension_scale=scale)
