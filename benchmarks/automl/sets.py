"""The data sets: read as their authors wrote them, without row numbers, keys and columns that tell the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import polars as pl

from automl.made import many_classes, many_columns, many_rows, many_rows_labels, ten_classes

Kind = Literal["binary", "multiclass", "regression"]

METRIC: Final[dict[Kind, str]] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}

Read = Callable[[Path], pl.DataFrame | tuple[pl.DataFrame, pl.DataFrame]]

PACK: Final[dict[str, Kind]] = {
    "197_cpu_act": "regression", "201_pol": "regression", "537_houses": "regression", "car": "multiclass",
    "churn": "binary", "connect_4": "multiclass", "diabetes": "binary", "kr_vs_kp": "binary", "magic": "binary",
    "phoneme": "binary", "satimage": "multiclass", "segmentation": "multiclass", "spambase": "binary",
}  # fmt: skip

COMPAS_KNOWN_BEFORE: Final = (
    "sex", "dob", "age", "age_cat", "race", "juv_fel_count", "juv_misd_count", "juv_other_count", "priors_count",
    "days_b_screening_arrest", "c_days_from_compas", "c_charge_degree", "c_charge_desc", "two_year_recid",
)  # fmt: skip
"""All else names the person, is COMPAS's own score, or was written down after the two years. Dates of the arrest and
the screening tell the answer too: of those screened after April 2014 only who came back was kept (Barenstein 2019)."""


@dataclass(frozen=True, slots=True)
class Set:
    """`read` gives one table, or train and test where the authors split; `ordered` rows are split by their order."""

    name: str
    target: str
    kind: Kind
    read: Read
    ordered: bool = False

    @property
    def metric(self) -> str:
        return METRIC[self.kind]


def all_sets() -> dict[str, Set]:
    """First those of issue 3, which are reported by default, then others, free to develop on."""
    return {one.name: one for one in (*reported(), *others())}


def reported() -> tuple[Set, ...]:
    return (
        *(Set(name, "target", kind, _pack(name)) for name, kind in PACK.items()),
        Set("adult_census", "c14", "binary", _adult),
        Set("bank", "y", "binary", _bank),
        Set("telco_churn", "Churn", "binary", _telco),
        Set("diamonds", "price", "regression", _diamonds),
        Set("ames_housing", "Sale_Price", "regression", _ames),
        Set("wine_quality", "quality", "regression", _wine),
        Set("german_credit", "c20", "binary", _german),
        Set("credit_scoring", "Status", "binary", _credit),
        Set("higgs_like", "c0", "binary", _higgs),
        Set("compas", "two_year_recid", "binary", _compas),
    )


def others() -> tuple[Set, ...]:
    return (
        Set("abalone", "c8", "regression", _abalone),
        Set("bikeshare", "count", "regression", _bikeshare, ordered=True),
        Set("nyc_flights", "late", "binary", _flights),
        Set("titanic", "Survived", "binary", _titanic),
        Set("many_rows", "y", "regression", many_rows),
        Set("many_rows_labels", "y", "binary", many_rows_labels),
        Set("many_columns", "y", "binary", many_columns),
        Set("many_classes", "y", "multiclass", many_classes),
        Set("ten_classes", "y", "multiclass", ten_classes),
    )


def _pack(name: str) -> Read:
    return lambda folder: _csv(folder / "pmlb_dev_pack" / f"{name}.tsv.gz", separator="\t")


def _adult(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The test labels end in a dot, and every value begins with a space."""

    def read(name: str) -> pl.DataFrame:
        texts = pl.read_csv(folder / "adult_census" / name, has_header=False, infer_schema=False)
        texts = _numbered(texts)
        clean = texts.select(pl.all().str.strip_chars().replace("?", None)).drop_nulls("c14")
        return clean.with_columns(
            pl.col("c0", "c2", "c4", "c10", "c11", "c12").cast(pl.Int64), pl.col("c14").str.strip_suffix(".")
        )

    return read("adult-train.csv"), read("adult-test.csv")


def _bank(folder: Path) -> pl.DataFrame:
    """`duration` is known only when the call, and so the answer, is over."""
    return _csv(folder / "bank_additional_4119" / "bank-additional.csv", separator=";").drop("duration")


def _telco(folder: Path) -> pl.DataFrame:
    """`TotalCharges` is blank for customers of the first month."""
    frame = _csv(folder / "telco_churn" / "Telco-Customer-Churn.csv").drop("customerID")
    blank_as_null = pl.col("TotalCharges").cast(pl.String).str.strip_chars().replace("", None).cast(pl.Float64)
    return frame.with_columns(blank_as_null)


def _diamonds(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "diamonds" / "diamonds.parquet").drop("rownames")


def _ames(folder: Path) -> pl.DataFrame:
    return _csv(folder / "ames_housing" / "ames.csv").drop("rownames")


def _wine(folder: Path) -> pl.DataFrame:
    names = (
        "fixed_acidity", "volatile_acidity", "citric_acid", "residual_sugar", "chlorides", "free_sulfur_dioxide",
        "total_sulfur_dioxide", "density", "ph", "sulphates", "alcohol", "quality",
    )  # fmt: skip

    def read(colour: str) -> pl.DataFrame:
        frame = _csv(folder / "wine_quality" / f"winequality-{colour}.csv", has_header=False)
        typed = frame.rename(dict(zip(frame.columns, names, strict=True))).cast(pl.Float64)
        return typed.with_columns(pl.lit(colour).alias("colour"))

    return pl.concat([read("red"), read("white")])


def _german(folder: Path) -> pl.DataFrame:
    return _headless(folder / "german_credit" / "german.csv")


def _credit(folder: Path) -> pl.DataFrame:
    return _csv(folder / "credit_scoring" / "credit_data.csv").drop("rownames")


def _higgs(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    train, test = (_headless(folder / "higgs_like_binary" / f"binary.{part}", "\t") for part in ("train", "test"))
    return train, test.cast(train.schema)


def _compas(folder: Path) -> pl.DataFrame:
    frame = _csv(folder / "compas_two_years" / "compas-scores-two-years.csv", try_parse_dates=True)
    return frame.select(COMPAS_KNOWN_BEFORE).cast({pl.Date: pl.Datetime("us")})


def _abalone(folder: Path) -> pl.DataFrame:
    return _headless(folder / "abalone" / "abalone.csv")


def _bikeshare(folder: Path) -> pl.DataFrame:
    """`casual` and `registered` add up to `count`."""
    frame = _csv(folder / "bikeshare_hourly" / "bikeshare.csv", try_parse_dates=True)
    return frame.drop("casual", "registered").sort("datetime")


def _flights(folder: Path) -> pl.DataFrame:
    """What is known at take-off, without how late it was."""
    frame = pl.read_parquet(folder / "nyc_flights_delay" / "nycflights.parquet")
    late = pl.when(pl.col("arr_delay") > 15).then(pl.lit("yes")).otherwise(pl.lit("no")).alias("late")
    return frame.with_columns(late).drop("rownames", "dep_delay", "arr_delay", "arr_time", "air_time", "dep_time")


def _titanic(folder: Path) -> pl.DataFrame:
    return _csv(folder / "titanic" / "titanic.csv").drop("PassengerId")


def _headless(path: Path, separator: str = ",") -> pl.DataFrame:
    return _numbered(_csv(path, has_header=False, separator=separator))


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.rename({name: f"c{i}" for i, name in enumerate(frame.columns)})


def _csv(path: Path, *, separator: str = ",", has_header: bool = True, try_parse_dates: bool = False) -> pl.DataFrame:
    return pl.read_csv(
        path, separator=separator, has_header=has_header, try_parse_dates=try_parse_dates, infer_schema_length=None
    )
