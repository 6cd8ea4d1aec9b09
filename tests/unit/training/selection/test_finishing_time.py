"""`training/selection/finishing_time.py`: what is measured on the way stands in the place of guesses."""

from aias.training.selection.finishing_time import FinishingTime


def test_what_was_tried_takes_the_place_of_the_guess_and_grows_with_the_rows() -> None:
    ending = FinishingTime(60.0, judge_seconds=0.1)
    guessed = ending.form(rows=1_000, classes=2, folds=5)
    ending.row_seconds = 1e-4
    tried = ending.form(rows=1_000, classes=2, folds=5)
    assert tried < guessed
    assert abs(ending.form(rows=2_000, classes=2, folds=5) - tried - 0.1) < 1e-9


def test_whoever_takes_longer_to_be_proved_takes_longer_to_be_published() -> None:
    ending = FinishingTime(60.0)
    small, large = (ending.serving(0.6, used=used, each=0.1) for used in (0.1, 3.1))
    assert 1.0 < large - small < 3.0
    assert ending.quality(0.6, used=3.1, beside=False) - ending.quality(0.6, used=0.1, beside=False) > large - small


def test_a_report_made_beside_the_other_form_takes_no_time_of_its_own() -> None:
    alone, beside = (FinishingTime(60.0).quality(0.6, used=0.1, beside=each) for each in (False, True))
    assert alone - beside == 1.0


def test_where_others_have_two_thirds_of_the_processors_a_small_model_leaves_time_for_others() -> None:
    ending = FinishingTime(10.0, judge_seconds=0.005)
    form = ending.form(rows=400, classes=2, folds=5)
    alone = ending.quality(form, used=0.06, beside=True) + ending.serving(form, used=0.06, each=0.06)
    assert 0.8 < alone < 10.0 / 2 / 3  # of half the time


def test_of_little_time_little_is_kept_for_reports() -> None:
    seconds = [FinishingTime(budget).serving(0.6, used=0.1, each=0.1) for budget in (3.0, 60.0, 600.0)]
    assert seconds == sorted(seconds) and seconds[0] < 1.2


def test_a_form_of_thousands_of_columns_takes_seconds_to_write() -> None:
    few, many = (FinishingTime(60.0, files=files).serving(0.6, used=0.1, each=0.1) for files in (20, 5_000))
    assert few - FinishingTime(60.0).serving(0.6, used=0.1, each=0.1) < 0.1 and 5.0 < many - few < 10.0
