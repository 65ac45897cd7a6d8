from emofusion.corpora.report.counts import compare_counts, format_counts

FOUND = {"Ses01": {"sad": 3, "angry": 5}, "Ses02": {"angry": 1200}}


def test_only_complete_rows_and_columns_have_sums():
    published = {"Ses01": {"angry": 5, "sad": 4}, "Ses02": {"angry": 1200}}
    assert compare_counts(FOUND, published) == {
        "Ses01": {"angry": (5, 5), "sad": (3, 4), "all": (8, 9)},
        "Ses02": {"angry": (1200, 1200), "sad": (0, None), "all": (1200, None)},
        "all": {"angry": (1205, 1205), "sad": (3, None), "all": (1208, None)},
    }


def test_published_sum_is_compared_without_its_parts():
    compared = compare_counts(FOUND, {"all": {"all": 1300}})
    assert compared["all"] == {"sad": (3, None), "angry": (1205, None), "all": (1208, 1300)}


def test_table_shows_differences():
    assert format_counts(FOUND, {"Ses01": {"angry": 5, "sad": 4}}).splitlines() == [
        "       angry    sad    all",
        "Ses01      5  3 (4)  8 (9)",
        "Ses02  1,200      0  1,200",
        "all    1,205      3  1,208",
        "2 of 3 counts differ from the published ones, which are in brackets.",
    ]
    assert format_counts(FOUND, {"Ses01": {"angry": 5}}).endswith("All counts agree with the published ones.")
    assert format_counts(FOUND, {}).splitlines()[-1] == "all      3  1,205  1,208"
