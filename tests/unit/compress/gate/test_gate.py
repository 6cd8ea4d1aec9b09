"""`compress/gate`: what each part says of rows whose answer is known."""

import subprocess
import sys

import numpy as np
import pytest

from aias.compress import gate
from aias.compress.gate.changes import calibration_gap, flips, share
from aias.compress.gate.evidence import Unknown, loss_of
from aias.compress.gate.medians import median_loss
from aias.compress.gate.power import Power, guessed
from aias.compress.gate.proportions import Proportions
from aias.compress.gate.resampled import resampled_loss
from aias.compress.gate.studentised import auc_loss, mean_loss, root_loss
from aias.compress.gate.verdict import OWN_SHARE, SPENT, Claim, Sealed, fallback, holm, judge


def test_the_gate_loads_numpy_and_scipy_and_nothing_else():
    names = ("evidence", "proportions", "studentised", "resampled", "power", "changes", "verdict")
    script = (
        "import sys\nbefore = set(sys.modules)\nfrom aias.compress.gate import *\n"
        + "\n".join(f"import aias.compress.gate.{name}" for name in names)
        + "\nfound = {name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)"
        "\nprint(*sorted(name for name in found if not name.startswith('_')))"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    of_theirs = {"cython_runtime", "charset_normalizer"}  # numpy.f2py takes the second where it is installed
    assert set(done.stdout.split()) - of_theirs == {"aias", "numpy", "scipy"}


def test_its_public_names_are_all_that_an_example_needs():
    assert gate.judge is judge and gate.mean_loss is mean_loss
    assert all(getattr(gate, name).__module__.startswith("aias.compress.gate.") for name in gate.__all__)


def test_flags_may_be_numbers_and_rows_lists():
    flags, first, second = [1, 0, 0, 1, 1, 0] * 20, np.arange(120.0) % 17, np.arange(120.0) % 13

    found = auc_loss(flags, first.tolist(), second.tolist())

    assert found.seen == auc_loss(np.array(flags) == 1, first, second).seen
    assert mean_loss(first.tolist(), second.tolist()).limit(0.9) == mean_loss(first, second).limit(0.9)
    assert root_loss(first.tolist(), second.tolist()).limit(0.9) == root_loss(first, second).limit(0.9)
    assert calibration_gap(first.tolist(), second.tolist()) == calibration_gap(first, second)


@pytest.mark.parametrize("loss", [mean_loss, root_loss, median_loss, lambda *two: auc_loss(np.arange(5) > 2, *two)])
def test_who_gives_other_rows_is_refused(loss):
    with pytest.raises(ValueError, match="the same rows"):
        loss(np.arange(5.0), np.arange(1.0))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("odd", [np.nan, np.inf])
@pytest.mark.parametrize("loss", [mean_loss, root_loss])
def test_of_losses_that_are_no_numbers_nothing_is_certain(loss, odd):
    losses = np.where(np.arange(50) == 3, odd, 1.0)
    for pair in [(losses, losses), (np.ones(50), losses), (losses, np.ones(50))]:
        assert isinstance(loss(*pair), Unknown)
        assert loss(*pair).limit(0.95) == np.inf


def test_of_losses_whose_squares_are_no_numbers_nothing_is_certain():
    losses = 1e300 * (1 + np.arange(50) % 7)
    assert mean_loss(losses, 1.5 * losses).limit(0.95) == np.inf
    assert not judge([Claim("a", mean_loss(losses, 1.5 * losses))], metric="mae", margin=1e299, part_margin=1)[
        0
    ].certified


def test_scores_that_are_no_numbers_are_in_no_order():
    scores = np.arange(50.0)
    assert isinstance(auc_loss(scores > 20, scores, np.where(scores == 3, np.nan, scores)), Unknown)


def test_the_score_interval_of_one_row_lost_and_none_won():
    """Tango 1998, table II: 44 patients; his limits are -0.0600 and 0.1184."""
    found = Proportions(1, 0, 44)

    assert found.value == pytest.approx(1 / 44)
    assert (found.limit(0.025), found.limit(0.975)) == pytest.approx((-0.0600, 0.1184), abs=1e-3)


def test_nothing_lost_still_leaves_a_limit():
    for found in (Proportions(0, 0, 500), mean_loss(np.arange(500.0), np.arange(500.0))):
        assert found.value == 0
        assert found.limit(0.05) < 0 < found.limit(0.95)
    assert Proportions(0, 0, 500).limit(0.95) == pytest.approx(0.00538, abs=1e-4)


def test_a_perfect_order_of_few_rows_proves_little():
    positive = np.arange(200) < 50
    found = auc_loss(positive, positive + 0.0, positive + 0.0)
    assert found.value == 0 and 0.01 < found.limit(0.95) < 0.1
    assert found.limit(0.05) == pytest.approx(-found.limit(0.95))


@pytest.mark.parametrize("loss", [mean_loss, root_loss])
def test_where_no_row_has_ever_been_off_nobody_knows_how_far_one_can_be(loss):
    assert loss(np.zeros(500), np.zeros(500)).limit(0.95) == np.inf
    for some in (np.arange(500) == 7.0, np.full(500, 0.3)):
        assert 1e-4 < loss(some, some).limit(0.95) < 0.1


def test_limits_and_confidence_are_inverses():
    rng = np.random.default_rng(0)
    first, second = rng.exponential(size=(2, 400))
    for found in (
        Proportions(9, 4, 400), mean_loss(first, second), root_loss(first, second),
        auc_loss(first > 1, first + second, second),
        resampled_loss(lambda w: w @ first / w.sum(axis=1), lambda w: w @ second / w.sum(axis=1), 400, seed=0),
    ):  # fmt: skip
        for confidence in (0.02, 0.5, 0.95):
            assert found.confidence(found.limit(confidence)) == pytest.approx(confidence, abs=2e-3)
            assert type(found.limit(confidence)) is float  # as it is written down


def test_the_auc_of_delong_is_that_of_pairs():
    rng = np.random.default_rng(0)
    positive = rng.random(60) < 0.4
    before, after = np.round(rng.normal(size=(2, 60)) + positive, 1)

    def auc(scores):
        ones, zeros = scores[positive][:, None], scores[~positive][None, :]
        return ((ones > zeros) + 0.5 * (ones == zeros)).mean()

    assert auc_loss(positive, before, after).value == pytest.approx(auc(before) - auc(after))


def test_where_a_metric_cannot_be_had_nothing_is_certain():
    none = auc_loss(np.ones(10, bool), np.arange(10.0), np.arange(10.0))

    (verdict,) = judge([Claim("a", none)], metric="roc_auc", margin=0.1, part_margin=0.1)

    assert isinstance(none, Unknown)
    assert not verdict.certified
    assert (verdict.loss.low, verdict.loss.high) == (float("-inf"), float("inf"))


def test_what_is_as_good_passes_where_rows_are_enough_and_not_where_they_are_few():
    good = {rows: Claim("a", Proportions(rows // 100, rows // 100, rows)) for rows in (300, 30_000)}

    few, many = (judge([good[rows]], metric="accuracy", margin=0.005, part_margin=1)[0] for rows in good)

    assert not few.certified
    assert "cannot be ruled out" in few.reason
    assert many.certified
    assert many.loss.high < 0.005


def test_who_seems_to_lose_less_than_the_margin_is_told_how_many_rows_would_say_so():
    asked = {"metric": "accuracy", "margin": 0.01, "part_margin": 1}

    (few,) = judge([Claim("a", Proportions(15, 10, 1_000))], **asked)
    needed = int(few.reason.partition("if that is what it loses, ")[2].split()[0].replace(",", ""))
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(needed, [0.015, 0.010, 0.975], 400)
    passed = [judge([Claim("a", Proportions(*each[:2].tolist(), needed))], **asked)[0].certified for each in drawn]

    assert few.reason.endswith(f"{needed:,} rows that certify would be enough") and few.rows_needed == needed
    assert 0.75 < np.mean(passed) < 0.9
    for lost, won in ((10, 10), (20, 10)):  # nothing, and so much that no rows are enough
        assert "would be enough" not in judge([Claim("a", Proportions(lost, won, 1_000))], **asked)[0].reason
    near = {**asked, "margin": np.nextafter(0.01, 1)}  # 2.4e17 rows would have been enough
    assert "would be enough" not in judge([Claim("a", Proportions(20, 10, 1_000))], **near)[0].reason


def test_a_part_that_is_sacrificed_is_named():
    parts = {"sex is f": Proportions(80, 0, 1_000), "sex is m": Proportions(0, 30, 900)}
    claim = Claim("a", Proportions(10, 40, 30_000), parts)

    (verdict,) = judge([claim], metric="accuracy", margin=0.005, part_margin=0.02)

    assert verdict.reason.startswith("where sex is f")


def test_holm_multiplies_the_least_most():
    assert holm([0.01, 0.04, 0.03, float("nan")]) == pytest.approx([0.04, 0.09, 0.09, 1.0])


def test_who_stands_behind_one_that_passes_is_judged_as_if_it_were_alone():
    safe, bold = Claim("safe", Proportions(0, 0, 5_000)), Claim("bold", Proportions(50, 45, 10_000))
    asked = {"metric": "accuracy", "margin": 0.0024, "part_margin": 1}

    alone = judge([bold], **asked)[0]
    behind = judge([safe, bold], **asked)[1]

    assert alone.certified and alone.p > 0.02  # Holm's method would have asked for half of the risk
    assert (behind.certified, behind.p, behind.loss) == (True, alone.p, alone.loss)


def test_behind_one_that_does_not_pass_only_what_is_sure_without_doubt_does():
    bad, sure = Claim("bad", Proportions(90, 0, 5_000)), Claim("sure", Proportions(0, 0, 5_000))
    bold = Claim("bold", Proportions(50, 45, 10_000))
    asked = {"metric": "accuracy", "margin": 0.0024, "part_margin": 1}

    verdicts = judge([bad, sure, bold], **asked)

    assert [each.certified for each in verdicts] == [False, True, False]
    assert "cannot be ruled out" in verdicts[0].reason
    assert "behind bad, which promised to be safer and did not pass" in verdicts[2].reason


def test_the_risk_of_one_that_passes_goes_on_to_the_next():
    least = 1 - 2 * OWN_SHARE

    assert fallback([]) == []
    assert fallback([0.03]) == [0.03]
    assert fallback([0.001, 0.03]) == pytest.approx([0.001 / (1 - OWN_SHARE), 0.03])
    assert fallback([0.001, 0.002, 0.03]) == pytest.approx([0.001 / least, 0.002 / (1 - OWN_SHARE), 0.03])
    assert fallback([0.2, float("nan"), 0.001]) == pytest.approx([0.2 / least, 1.0, 0.001 / OWN_SHARE])
    assert fallback([0.2, 0.001, 0.002]) == pytest.approx([0.2 / least, 0.001 / OWN_SHARE, 0.001 / OWN_SHARE])


def test_of_many_that_lose_far_too_much_none_is_certified():
    lost = Claim("bad", Proportions(400, 100, 5_000))

    verdicts = judge([lost] * 30, metric="accuracy", margin=0.005, part_margin=1)

    assert not any(each.certified for each in verdicts) and all(0 < each.p <= 1 for each in verdicts)
    assert fallback([0.001] * 30)[0] == pytest.approx(0.002)  # half of the risk is the first one's


def test_what_is_within_the_limits_shown_but_not_certified_says_how_sure_it_would_have_to_be():
    nearly = Claim("nearly", Proportions(50, 45, 10_000))
    margin = nearly.evidence.limit(0.955)

    (verdict,) = judge([nearly], metric="accuracy", margin=margin, part_margin=1)

    assert not verdict.certified and verdict.loss.high < margin
    assert "cannot be ruled out with 96 % confidence" in verdict.reason


@pytest.mark.parametrize("worse", [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]])
def test_whoever_is_worse_by_the_margin_passes_no_more_often_than_the_risk(worse: list[int]):
    """p values of these are uniform, those of the others next to nothing; all ways in which they may hang together."""
    rng = np.random.default_rng(0)
    drawn, apart = rng.random((4_000, 1)), rng.random((4_000, 3))
    for p in (apart, np.repeat(drawn, 3, axis=1), (drawn + np.arange(3) / 3) % 1):
        mixed = np.where(np.isin(np.arange(3), worse), p, 1e-9)
        passed = [any(fallback(each)[place] < SPENT for place in worse) for each in mixed]
        assert np.mean(passed) < SPENT + 0.01


def test_rows_certify_once():
    rows = Sealed([1, 2])

    assert rows.open() == [1, 2]
    with pytest.raises(AssertionError, match="once"):
        rows.open()


def test_of_rows_that_hang_together_more_are_needed():
    apart, together = guessed(1.0, right=0.8), guessed(1.2, right=0.8, groups=np.arange(3))

    assert apart == pytest.approx(np.sqrt(0.05)) == guessed(0.4, right=0.8, groups=np.arange(3))
    assert together == pytest.approx(3 * apart)
    assert Power("accuracy", 0.01, together, 408).rows_needed == pytest.approx(9 * 3_361, rel=0.001)


def test_power_says_what_cannot_be_resolved():
    """((z(.96) + z(.8)) / .01)² · .05: at 5 % of rows differing, one point needs 3,361 rows."""
    enough = Power("accuracy", 0.01, np.sqrt(0.05), 3_361)
    few = Power("accuracy", 0.01, np.sqrt(0.05), 408)

    assert enough.enough
    assert enough.chance == pytest.approx(0.8, abs=0.001)
    assert few.rows_needed == pytest.approx(3_361, abs=2)
    assert not few.enough
    assert "3,361 rows would be enough" in str(few)
    far = Power("rmse", margin=1e-9, spread=1e6, rows=10_000)
    assert str(far).endswith("a billion would not be enough")
    assert str(Power("roc_auc", 0.01, np.inf, 408)) == (
        "408 rows cannot tell any loss in roc_auc from none; the margin is 0.01"
    )


def test_no_words_say_that_nothing_was_lost():
    said = str(loss_of("accuracy", Proportions(0, 0, 500)))

    assert "no loss" not in said
    assert "+0.0054" in said


def test_large_losses_are_written_as_people_write_them():
    said = str(loss_of("rmse", mean_loss(np.arange(9.0) * 1e4, np.arange(9.0) * 1e4 + 1_234.5)))

    assert said.startswith("rmse +1,200 (") and "e+" not in said
    assert "a loss of 26,000 in rmse" in str(Power("rmse", margin=1_861.9, spread=1e6, rows=10_000))
    assert "margin is 1,900" in str(Power("rmse", margin=1_861.9, spread=1e6, rows=10_000))


def test_flips_are_counted_with_their_limits():
    found = flips([0, 0, 1, 1], [0, 0, 1, 0], [0, 1, 1, 1])

    assert (found.all.rows, found.lost.rows) == (2, 1)
    assert share(np.zeros(300)).high == pytest.approx(0.00994, abs=1e-4)  # the rule of three
    assert share(np.ones(5)).high == 1


def test_answers_that_change_together_are_known_as_well_as_their_groups():
    rng, groups, truth = np.random.default_rng(0), np.repeat(np.arange(60), 10), 0.1
    changed = [(rng.random(60) < truth)[groups] for _ in range(400)]

    assert np.mean([share(each, groups).high < truth for each in changed]) <= 0.05
    assert np.mean([share(each).high < truth for each in changed]) > 0.2
    assert share(np.zeros(600), groups).high == pytest.approx(share(np.zeros(60)).high)
    alone = rng.random(600) < truth
    assert share(alone, np.arange(600)).high == pytest.approx(share(alone).high, rel=0.01)


def test_what_comes_true_as_often_as_said_has_no_gap():
    said = np.repeat([0.1, 0.9], 5_000)
    came = np.concatenate([np.arange(5_000) % 10 == 0, np.arange(5_000) % 10 != 0])

    assert calibration_gap(said, came) < 0.005
    assert calibration_gap(said, 1 - came) > 0.7


def test_of_a_single_group_as_little_is_known_as_of_one_row() -> None:
    y = np.arange(200) % 2
    one = flips(y, y, np.where(np.arange(200) < 26, 1 - y, y), np.zeros(200, np.int64))
    assert one.all.high > 0.9


def test_changes_are_of_the_same_rows() -> None:
    """Two rows beside one were taken for two alike, and gave a gap."""
    with pytest.raises(ValueError, match="both models answer the same rows"):
        calibration_gap([0.1, 0.2], [0])
    with pytest.raises(ValueError, match="both models answer the same rows"):
        flips([0, 1], [0, 1], [0])
    assert np.isnan(calibration_gap([], []))


def test_sums_in_another_order_lose_nothing_and_a_small_unit_is_no_rounding():
    rng = np.random.default_rng(0)
    before = rng.exponential(size=1_000)
    other = before.copy()
    other[[0, 1]] += (1e-16, -1e-16)
    worse = before * (1 + 1e-3 * rng.random(1_000))

    assert "+0 (" in str(loss_of("mae", mean_loss(before, other)))
    for unit in (1.0, 1e-20):
        assert mean_loss(unit * before, unit * worse).value == pytest.approx(5e-4 * unit, rel=0.1)
        assert root_loss(unit * before, unit * worse).value > 0
    assert "+5" in str(loss_of("mae", mean_loss(1e-20 * before, 1e-20 * worse)))


def test_rows_tell_no_less_from_none_than_equal_answers_leave_in_doubt():
    """It said that 1,000 rows tell a loss of a fifth of what equal answers were certified to lose at most."""
    losses = np.random.default_rng(0).exponential(size=1_000)
    same = mean_loss(losses, losses)

    power = Power("quantile_loss", 0.5 * same.limit(0.95), 1.0, 1_000).seen(same)

    assert power.resolved >= same.limit(0.95) * (1 - 1e-9) and not power.enough
    assert Power("quantile_loss", 0.5, 1.0, 1_000).seen(Unknown(1_000)).spread == 1.0


@pytest.mark.parametrize("risk", [0.0, 1.0, 2.0, float("nan")])
def test_what_is_no_risk_certifies_nothing(risk: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        judge([Claim("a", Proportions(0, 0, 10))], metric="accuracy", margin=0.5, part_margin=1.0, risk=risk)
