"""The collected real data: every table and every text collection loads, or is refused with what to do."""

from pathlib import Path

import numpy as np
import pytest

from aias.core.errors import AiasError
from aias.data.check import findings
from aias.data.errors import Unreadable
from aias.data.read import read
from aias.data.target import labels_for, task_for

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not SHARED.is_dir(), reason="the data sets in ../shared/data are not here"),
]

ROWS = {
    "tabular/abalone/abalone.csv": (4177, 9),
    "tabular/adult_census/adult-test.csv": (16281, 15),
    "tabular/adult_census/adult-train.csv": (32561, 15),
    "tabular/ames_housing/ames.csv": (2930, 75),
    "tabular/bank_additional_4119/bank-additional.csv": (4119, 21),
    "tabular/bikeshare_hourly/bikeshare.csv": (10886, 12),
    "tabular/chipotle_messy/chipotle.tsv": (4622, 5),
    "tabular/compas_two_years/compas-scores-two-years.csv": (7214, 53),
    "tabular/credit_scoring/credit_data.csv": (4454, 15),
    "tabular/diamonds/diamonds.parquet": (53940, 11),
    "tabular/german_credit/german.csv": (1000, 21),
    "tabular/higgs_like_binary/binary.test": (500, 29),
    "tabular/higgs_like_binary/binary.train": (7000, 29),
    "tabular/nyc_flights_delay/nycflights.parquet": (32735, 17),
    "tabular/pmlb_dev_pack/201_pol.tsv.gz": (15000, 49),
    "tabular/pmlb_dev_pack/connect_4.tsv.gz": (67557, 43),
    "tabular/pmlb_dev_pack/spambase.tsv.gz": (4601, 58),
    "tabular/telco_churn/Telco-Customer-Churn.csv": (7043, 21),
    "tabular/titanic/titanic.csv": (891, 12),
    "tabular/ufo_messy/ufo.csv": (80543, 5),
    "tabular/weka_arff_collection/weka-datasets.zip:data/supermarket.arff": (4627, 217),
    "tabular/weka_arff_collection/weka-datasets.zip:data/ReutersCorn-train.arff": (1554, 2),
    "tabular/wine_quality/winequality-red.csv": (1599, 12),
    "tabular/wine_quality/winequality-white.csv": (4898, 12),
    "text/banking77/test.csv": (3080, 2),
    "text/banking77/train.csv": (10003, 2),
    "text/chnsenticorp_hotel/ChnSentiCorp_htl_all.csv": (7766, 2),
    "text/mr_rt_polarity/rt-polarity.all": (10662, 2),
    "text/online_shopping_10cats/online_shopping_10_cats.zip": (62774, 3),
    "text/review_polarity_docs/review_polarity.tar.gz": (2000, 2),
    "text/sms_spam/sms.tsv": (5574, 2),
    "text/sst2_sentences/stsa.binary.dev": (872, 2),
    "text/sst2_sentences/stsa.binary.test": (1821, 2),
    "text/sst2_sentences/stsa.binary.train": (6920, 2),
    "text/subj/subj.all": (10000, 2),
    "text/trec6_questions/TREC.test.all": (500, 2),
    "text/trec6_questions/TREC.train.all": (5452, 2),
    "text/waimai_10k/waimai_10k.csv": (11987, 2),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_collected_file_is_read_whole(name):
    dataset = read(str(SHARED / name))
    assert (dataset.rows, len(dataset.schema.fields)) == ROWS[name]
    assert dataset.schema.inputs


def every_file() -> list[Path]:
    found = [
        path for section in ("tabular", "text") for path in sorted((SHARED / section).rglob("*")) if path.is_file()
    ]
    return [path for path in found if str(path.relative_to(SHARED)) not in ROWS]


@pytest.mark.parametrize("path", every_file(), ids=lambda path: str(path.relative_to(SHARED)))
def test_every_other_file_loads_or_says_what_to_do(path):
    try:
        assert read(path).rows > 0
    except AiasError as refusal:
        assert path.name in refusal.message
        assert refusal.hint


def test_a_collection_of_arff_files_asks_which():
    with pytest.raises(Unreadable, match="holds 25 data files") as caught:
        read(SHARED / "tabular/weka_arff_collection/weka-datasets.zip")
    assert "weka-datasets.zip:data/" in caught.value.hint


def kinds(name: str) -> dict[str, tuple[str, str]]:
    return {field.name: (field.kind, field.role) for field in read(str(SHARED / name)).schema}


def test_the_traps_of_the_collected_files_are_avoided():
    assert kinds("tabular/telco_churn/Telco-Customer-Churn.csv")["customerID"] == ("category", "ignored")
    assert kinds("tabular/telco_churn/Telco-Customer-Churn.csv")["TotalCharges"] == ("number", "input")
    assert kinds("tabular/chipotle_messy/chipotle.tsv")["item_price"] == ("number", "input")
    assert kinds("tabular/ames_housing/ames.csv")["rownames"] == ("number", "ignored")
    assert kinds("tabular/ufo_messy/ufo.csv")["Time"] == ("time", "input")
    assert kinds("tabular/bikeshare_hourly/bikeshare.csv")["datetime"] == ("time", "input")
    assert kinds("text/chnsenticorp_hotel/ChnSentiCorp_htl_all.csv")["review"] == ("text", "input")
    assert kinds("text/sms_spam/sms.tsv") == {"c0": ("category", "input"), "c1": ("text", "input")}
    assert {"priors_count_2", "decile_score_2"} <= set(kinds("tabular/compas_two_years/compas-scores-two-years.csv"))


def test_the_labels_of_adult_are_the_same_in_both_files():
    folder = SHARED / "tabular/adult_census"
    train = read(folder / "adult-train.csv", target="c14")
    labels = task_for(train, "c14")
    test = labels_for(read(folder / "adult-test.csv", schema=train.schema), labels.task)
    assert labels.task.classes == ("<=50K", ">50K")
    assert np.bincount(test.y).tolist() == [12435, 3846]


def test_the_leak_of_bikeshare_is_found():
    dataset = read(SHARED / "tabular/bikeshare_hourly/bikeshare.csv", target="count")
    labels = task_for(dataset, "count")
    warnings = [note.message for note in findings(dataset, labels.y, labels.task) if note.level == "warning"]
    assert len(warnings) == 1
    assert "`casual` + `registered` is `count`" in warnings[0]


def test_bank_is_accused_of_nothing_certain():
    dataset = read(SHARED / "tabular/bank_additional_4119/bank-additional.csv", target="y")
    labels = task_for(dataset, "y")
    assert [note for note in findings(dataset, labels.y, labels.task) if note.level == "warning"] == []
