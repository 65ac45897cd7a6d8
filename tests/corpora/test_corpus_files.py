"""Finding, listing and reading the files of a corpus."""

import pytest
from emofusion.corpora.corpus_files import find_root, list_files, read_csv
from testing_folder import close


def has_table(folder):
    return (folder / "table.csv").is_file()


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "corpus"
    (root / "inner").mkdir(parents=True)
    (root / "table.csv").write_text("a,b\n1,2\n")
    return root.resolve()


def test_root_without_permission_is_reported(root, monkeypatch):
    close(monkeypatch, {str(root)})
    with pytest.raises(PermissionError, match=f"^{root} may not be read"):
        find_root("it", root, has_table, "table.csv")


def test_unreadable_sibling_does_not_hide_root(root):
    (root.parent / "closed").mkdir()

    def is_root(folder):
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return has_table(folder)

    with pytest.raises(ValueError, match=f"one level too high: give {root} as root"):
        find_root("it", root.parent, is_root, "table.csv")


def test_visible_files_are_listed_in_order(root):
    for name in ("b.wav", "._b.wav", "a.wav"):
        (root / "inner" / name).touch()
    (root / "inner" / "folder").mkdir()
    problems = []
    files = list(list_files(root, "inner", problems))
    assert files == [("a.wav", f"{root}/inner/a.wav"), ("b.wav", f"{root}/inner/b.wav")]
    assert (
        list(list_files(root, "nowhere", problems)) == list(list_files(root, "table.csv", problems)) == problems == []
    )


def test_inaccessible_files_and_broken_links_are_problems(root, monkeypatch, tmp_path):
    (root / "inner/a.wav").touch()
    (root / "inner/b.wav").symlink_to(tmp_path / "outside.wav")
    (root / "inner/c.wav").symlink_to(root / "table.csv")
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/d.wav").touch()
    (root / "link").symlink_to(tmp_path / "disk")
    close(monkeypatch, {f"{root}/inner/a.wav", f"{root}/closed"})
    problems = []
    found = [name for folder in ("inner", "closed", "link") for name, _ in list_files(root, folder, problems)]
    assert found == ["c.wav", "d.wav"]
    assert [(problem["kind"], problem["file"]) for problem in problems] == [
        ("no permission", "inner/a.wav"),
        ("broken link", "inner/b.wav"),
        ("no permission", "closed"),
    ]


def test_table_is_read_row_by_row(root):
    path = root / "table.csv"
    path.write_text("a,b\n1,2\n3\n4,5,6\n")
    rows = read_csv(path, ["b"])
    assert next(rows) == {"a": "1", "b": "2"}
    assert next(rows) == {"a": "3", "b": ""}
    with pytest.raises(ValueError, match="row 3, has more fields than the header"):
        next(rows)


def test_table_that_is_folder_is_reported(root):
    with pytest.raises(ValueError, match="inner cannot be read: Is a directory"):
        next(read_csv(root / "inner", ["a"]))
