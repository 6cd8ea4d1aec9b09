"""A file in an old encoding, from training to evaluation."""

import pytest

import aias
from aias.core.events import nobody
from aias.data.errors import Unreadable
from aias.training.parent import Parent, rows_of

MORE = "一二三四五六七八九十百千万上下左右前后里外东西南北中大小多少"
ROWS = "".join(f"这家店的味道很好吃，{more},好\n这家店的味道太难吃，{more},坏\n" for more in MORE)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("meals")
    (folder / "meals.csv").write_bytes(f"评论,标签\n{ROWS}".encode("gbk"))
    (folder / "test.csv").write_text(f"评论,标签\n{ROWS}", encoding="utf-8")
    return folder, aias.train(
        str(folder / "meals.csv"), target="标签", name="meals", test=str(folder / "test.csv"), time=600,
        learners=["linear"], inline=True, home=folder / "home",
    )  # fmt: skip


def test_what_a_file_was_read_as_stands_on_the_card_and_in_the_lineage(trained):
    model = trained[1]
    assert model.manifest.lineage.settings["encoding"] == "gb18030"
    assert model.manifest.lineage.settings["test_encoding"] is None
    assert any("read as gb18030" in note for note in model.manifest.notes)


def test_a_request_in_unicode_is_answered_as_the_rows_say(trained):
    assert trained[1].predict([{"评论": "这家店的味道太难吃，天"}]).tolist() == ["坏"]


def test_the_rows_are_read_again_as_they_were(trained):
    model = trained[1]
    dataset, test = rows_of(Parent(model.ref, model.manifest, model.runtime, model.folder), None, watch=nobody)
    assert dataset.encoding == "gb18030"
    assert test.encoding is None
    assert dataset.frame.equals(test.frame)


def test_other_rows_are_measured_and_answered_in_the_encoding_that_is_named(trained):
    folder, model = trained
    path = folder / "old.csv"
    path.write_bytes(f"评论,标签\n{ROWS}".encode("gbk"))
    assert model.evaluate(path, encoding="gbk")[0].value == model.evaluate(folder / "test.csv")[0].value
    assert model.predict(path, encoding="gbk").tolist() == model.predict(folder / "test.csv").tolist()
    with pytest.raises(Unreadable, match="not in utf-8"):
        model.predict(path, encoding="utf-8")


@pytest.mark.parametrize("verb", ["optimize", "compress"])
def test_the_encoding_of_rows_that_have_moved_is_named(trained, verb):
    folder, model = trained
    path = folder / "moved.csv"
    path.write_bytes(f"评论,标签\n{ROWS}".encode("gbk"))
    with pytest.raises(Unreadable, match="not in utf-8"):
        getattr(model, verb)(data=path, encoding="utf-8", time=5, inline=True)


def test_so_is_that_of_rows_to_teach_on(trained):
    folder, model = trained
    path = folder / "more.csv"
    path.write_bytes(f"评论\n{MORE}\n".encode("gbk"))
    with pytest.raises(Unreadable, match="not in utf-8"):
        model.compress(unlabelled=path, encoding="utf-8", time=5, inline=True)


def test_and_of_the_sample_rows_of_an_imported_model(tmp_path):
    (tmp_path / "model.txt").write_text("tree\nversion=v4\n")
    path = tmp_path / "rows.csv"
    path.write_bytes(f"评论,标签\n{ROWS}".encode("gbk"))
    with pytest.raises(Unreadable, match="not in utf-8"):
        aias.import_model(tmp_path / "model.txt", like=path, encoding="utf-8", home=tmp_path / "home")


def test_and_of_the_rows_that_versions_are_compared_on(trained):
    folder, model = trained
    path = folder / "compared.csv"
    path.write_bytes(f"评论,标签\n{ROWS}".encode("gbk"))
    assert aias.compare({"it": model}, path, encoding="gbk", seconds=0.1).steps[0].quality.value > 0.9
    with pytest.raises(Unreadable, match="not in utf-8"):
        aias.compare({"it": model}, path, encoding="utf-8", seconds=0.1)
