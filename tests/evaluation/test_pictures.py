import pytest
from emofusion.evaluation.pictures import draw_confusion_matrices, draw_learning_curves
from matplotlib.figure import Figure
from PIL import Image

LOG = [
    {"epoch": 0.5, "loss": 1.4},
    {"epoch": 1.0, "eval_ua": 0.3, "eval_loss": 1.3},
    {"epoch": 2.0, "loss": 1.1},
    {"epoch": 2.0, "eval_ua": 0.6},
    {"epoch": 2.0, "train_loss": 1.2},
]


def size(path):
    with Image.open(path) as picture:
        picture.load()
        assert picture.format == "PNG"
        return picture.size


def test_confusion_matrices_are_a_png_with_a_panel_each(tmp_path):
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    draw_confusion_matrices(one, {"speech": [[3, 1], [0, 0]]}, ["low", "high"])
    draw_confusion_matrices(two, {"speech": [[3, 1], [0, 0]], "text": [[4, 0], [0, 4]]}, ["low", "high"])
    assert size(two)[0] > 1.5 * size(one)[0]
    assert size(two)[1] == size(one)[1]
    assert sorted(tmp_path.iterdir()) == [one, two]


@pytest.mark.parametrize("systems", [{"speech": LOG}, {"speech": LOG, "text": LOG}, {"speech": []}])
def test_learning_curves_are_a_png(tmp_path, systems):
    draw_learning_curves(tmp_path / "curve.png", systems)
    assert min(size(tmp_path / "curve.png")) > 100
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]


def test_an_error_leaves_nothing_and_the_old_picture_stays(tmp_path, monkeypatch):
    (tmp_path / "curve.png").write_bytes(b"old")

    def break_off(self, file, **kwargs):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", break_off)
    with pytest.raises(OSError, match="disk full"):
        draw_learning_curves(tmp_path / "curve.png", {"speech": LOG})
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]
    assert (tmp_path / "curve.png").read_bytes() == b"old"
