"""Damaged copies of IEMOCAP: every problem is listed, nothing is left out silently."""

import shutil
import sys
import warnings
from collections import Counter

import pytest
from emofusion.corpora import load_corpus
from emofusion.corpora.iemocap.corpus import IEMOCAP
from testing_folder import close
from testing_iemocap import HEADER, TURNS, block, build_dialogue, build_iemocap

FIRST = "Ses01F_impro01_F000"
ALIGNMENTS = "Session2/sentences/ForcedAlignment/Ses02F_impro01"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build_iemocap(tmp_path_factory.mktemp("licensed"))


@pytest.fixture
def copy(root, tmp_path):
    """A copy to damage."""
    return shutil.copytree(root, tmp_path / "IEMOCAP" / "IEMOCAP_full_release")


def read(root, classes=4):
    found = IEMOCAP.scan(root, IEMOCAP.parse(classes=classes))
    return list(found.rows), found.problems


def kinds(problems):
    return Counter(problem["kind"] for problem in problems)


def one_problem(problems, kind):
    (problem,) = [problem for problem in problems if problem["kind"] == kind]
    return problem


def evaluation(copy, dialogue="Ses01F_impro01"):
    return copy / f"Session{dialogue[4]}/dialog/EmoEvaluation/{dialogue}.txt"


@pytest.mark.parametrize("place", [".", ".."])
def test_folder_of_sessions_and_its_parent_are_roots(copy, place):
    assert len(read(copy / place)[0]) == 62


def test_folder_of_sessions_may_have_any_name(copy):
    assert len(read(copy.rename(copy.parent / "mine"))[0]) == 62


@pytest.mark.parametrize(("given", "right"), [("../..", ".."), ("Session1", ".")])
def test_root_one_level_off_is_refused_with_hint(copy, given, right):
    given, right = (copy / given).resolve(), (copy / right).resolve()
    with pytest.raises(ValueError, match=rf"^{given} is one level too (high|deep): give {right} as root\.$"):
        load_corpus("iemocap", given)


def test_wrong_root_is_refused(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    with pytest.raises(ValueError, match="b is not the root of IEMOCAP: it has no Session1 to Session5"):
        load_corpus("iemocap", tmp_path / "a/b")
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder; give one with Session1 to Session5"):
        load_corpus("iemocap", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="Give the folder of IEMOCAP as root"):
        load_corpus("iemocap")


def test_empty_sessions_are_refused(tmp_path):
    (tmp_path / "Session1").mkdir()
    with pytest.raises(
        ValueError,
        match=r"has no utterance that can be used\. .*first of 5 problems: No dialogue is described in Session1",
    ):
        load_corpus("iemocap", tmp_path)


def test_evaluation_file_without_turns_is_problem(copy):
    evaluation(copy).write_text(HEADER)
    found, problems = read(copy)
    assert not [row for row in found if row["dialogue"] == "Ses01F_impro01"]
    assert one_problem(problems, "empty dialogue")["file"] == "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"


def test_missing_recording_is_left_out_with_warning(copy):
    (copy / f"Session1/sentences/wav/Ses01F_impro01/{FIRST}.wav").unlink()
    found, problems = read(copy)
    problem = one_problem(problems, "missing audio")
    assert (problem["id"], problem["dropped"], problem["known"]) == (FIRST, True, False)
    assert problem["file"] == f"Session1/sentences/wav/Ses01F_impro01/{FIRST}.wav"
    assert FIRST not in [row["id"] for row in found]
    with pytest.warns(UserWarning, match=r"IEMOCAP has 61 usable rows; problems: .*1 missing audio"):
        load_corpus("iemocap", copy)


@pytest.mark.parametrize(
    "place", [f"Session1/sentences/wav/Ses01F_impro01/{FIRST}.wav", "Session1/dialog/avi/DivX", "Session1", "."]
)
def test_links_to_another_disk_are_followed(copy, tmp_path, place):
    before = read(copy)[0]
    linked = copy / place
    linked.symlink_to(linked.rename(tmp_path / "elsewhere"))
    found = read(copy.parent)[0]
    assert [row["id"] for row in found] == [row["id"] for row in before]
    assert sum(row["video"] is not None for row in found) == sum(row["video"] is not None for row in before) > 0


def test_missing_permissions_are_problems(copy, monkeypatch):
    closed = {f"Session1/sentences/wav/Ses01F_impro01/{FIRST}.wav", ALIGNMENTS}
    close(monkeypatch, {f"{copy.resolve()}/{place}" for place in closed})
    found, problems = read(copy)
    assert FIRST not in [row["id"] for row in found]
    assert {problem["file"] for problem in problems if problem["kind"] == "no permission"} == closed


def test_first_description_of_turn_is_used(copy):
    with open(evaluation(copy), "a") as file:
        file.write("\n" + block(FIRST, 90, 91, "sad", "[1, 1, 1]"))
    found, problems = read(copy)
    assert [row["label"] for row in found if row["id"] == FIRST] == ["angry"]
    assert one_problem(problems, "duplicate")["id"] == FIRST


def test_unknown_label_is_left_out_with_reason(copy):
    path = evaluation(copy)
    path.write_text(path.read_text().replace(f"{FIRST}\tang", f"{FIRST}\tjoy"))
    found, problems = read(copy, "all")
    assert FIRST not in [row["id"] for row in found]
    assert one_problem(problems, "unknown label")["what"].startswith(
        f"{FIRST} is dropped: its label 'joy' is none of ang, hap"
    )


@pytest.mark.parametrize(
    "line", ["[1.0 - 0.5]\tSes01F_impro01_F009\tneu", "[1.0 - 2.0]\t../../etc\tneu", "[0 - 1] neu"]
)
def test_invalid_line_is_named(copy, line):
    path = evaluation(copy)
    path.write_text(f"{HEADER}{line}\n" + path.read_text().removeprefix(HEADER))
    problem = one_problem(read(copy)[1], "unreadable turn")
    assert problem["file"] == "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    assert "Ses01F_impro01.txt, line 3, is not a turn" in problem["what"]


def test_unnumbered_turns_have_no_row(copy):
    with open(evaluation(copy), "a") as file:
        file.write("\n" + block("Ses01F_impro01_MXX0", 90, 91, "neu", "[1, 1, 1]"))
    found, problems = read(copy)
    assert len(found) == 62
    assert one_problem(problems, "unnumbered")["id"] == "Ses01F_impro01_MXX0"


def test_missing_text_is_none_and_problem(copy):
    folder = copy / "Session1/dialog/transcriptions"
    (folder / "Ses01M_script01_1b.txt").unlink()
    path = folder / "Ses01F_impro01.txt"
    path.write_bytes(b"".join(line for line in path.read_bytes().splitlines(True) if FIRST.encode() not in line))
    found, problems = read(copy, "all")
    without = {row["id"] for row in found if row["text"] is None}
    assert without == {FIRST} | {f"Ses01M_script01_1b_{field}" for field, *_ in TURNS}
    assert kinds(problems)["missing transcript"] == 2  # a turn's, and a dialogue's


def test_unreadable_alignment_is_problem(copy):
    (copy / f"Session1/sentences/ForcedAlignment/Ses01F_impro01/{FIRST}.wdseg").write_text("no segments")
    found, problems = read(copy)
    assert next(row for row in found if row["id"] == FIRST)["alignment"]["word"] is None
    assert "line 1" in one_problem(problems, "unreadable alignment")["what"]


def test_every_turn_is_row_or_is_left_out_with_reason(copy):
    (copy / f"Session1/sentences/wav/Ses01F_impro01/{FIRST}.wav").unlink()
    found, problems = read(copy)
    dropped = [problem["id"] for problem in problems if problem["dropped"]]
    assert len({row["id"] for row in found} | set(dropped)) == len(found) + len(dropped) == 82
    assert kinds(problem for problem in problems if problem["known"]) == {
        "other emotion": 20,
        "published without words": 2,
    }


def test_copy_as_published_gives_no_warning(copy):
    video = copy / "Session1/dialog/avi/DivX/Ses01F_impro01.avi"
    for path in copy.glob("Session*/dialog/EmoEvaluation/Ses*.txt"):
        if path.stem != video.stem:
            shutil.copy(video, path.parents[1] / f"avi/DivX/{path.stem}.avi")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_corpus("iemocap", copy)


def test_time_of_a_scan_grows_with_the_number_of_turns(tmp_path):
    def count_calls(turns):
        build_dialogue(
            tmp_path / f"{turns}" / "Session1",
            "Ses01F_impro01",
            [(f"F{number:03}", "neu", "Yes.") for number in range(turns)],
        )
        calls = []
        sys.setprofile(lambda _, event, __: calls.append(event))
        try:
            rows = read(tmp_path / f"{turns}")[0]
        finally:
            sys.setprofile(None)
        assert len(rows) == turns
        return len(calls)

    assert count_calls(90) < 4 * count_calls(30)
