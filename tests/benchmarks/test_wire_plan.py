"""The cells of the matrix and what their links do when."""

import pytest

from benchmarks.wire import plan
from benchmarks.wire.plan import Cell, chosen, default_plan, full_plan, schedule


def test_the_default_holds_every_level_and_the_pairs_that_matter() -> None:
    cells = default_plan()
    assert len(cells) == len(set(cells)) == len({cell.name for cell in cells}) == 33
    assert {cell.loss for cell in cells} == set(plan.LOSSES)
    assert {cell.jitter for cell in cells} == set(plan.JITTERS)
    assert {cell.rate for cell in cells} == set(plan.RATES)
    assert {cell.outage for cell in cells} == {0.0, *plan.OUTAGES}
    assert {(c.loss, c.jitter) for c in cells if c.rate == 2000 and not c.outage} == {
        (loss, jitter) for loss in plan.LOSSES for jitter in plan.JITTERS
    }
    for loss in (0, 5):
        assert {c.rate for c in cells if c.loss == loss and not c.jitter and not c.outage} == set(plan.RATES)
        assert {c.outage for c in cells if c.loss == loss and c.outage} == set(plan.OUTAGES)


def test_the_whole_product_leaves_out_outages_of_a_link_that_is_shut() -> None:
    cells = full_plan()
    assert len(set(cells)) == len(cells) == 5 * 3 * (4 * 6 + 1)
    assert set(default_plan()) <= set(cells)
    assert not [cell for cell in cells if cell.outage and not cell.rate]


def test_the_default_takes_about_twenty_minutes_of_calls() -> None:
    seconds = sum(2 * schedule(cell, 16.0).seconds for cell in default_plan())
    assert 17 * 60 < seconds < 21 * 60


def test_a_cell_is_good_before_and_after_its_bad_middle() -> None:
    found = schedule(Cell(loss=5, jitter=30, rate=300), 16.0)
    assert (found.bad_ms, found.restored_ms, found.seconds) == (3000.0, 11000.0, 18.0)
    for at_ms in (0.0, 2999.0, 11000.0, 17999.0):
        step = found.trace.at(at_ms)
        assert (step.rate_kbps, step.loss, step.jitter_ms, step.delay_ms) == (2000.0, 0.0, 0.0, 20.0)
    step = found.trace.at(3000.0)
    assert (step.rate_kbps, step.loss, step.jitter_ms, step.delay_ms) == (300.0, 0.05, 30.0, 20.0)
    assert found.back_ms == (11000.0,)
    assert found.shut == ()


def test_a_link_that_only_loses_has_nothing_to_come_back_from() -> None:
    found = schedule(Cell(loss=20), 16.0)
    assert (found.back_ms, found.restored_ms, found.seconds) == ((), 11000.0, 16.0)


def test_rate_zero_shuts_the_middle() -> None:
    found = schedule(Cell(rate=0), 16.0)
    assert found.trace.at(5000.0).rate_kbps == 0.0
    assert found.shut == ((3000.0, 11000.0),)
    assert found.back_ms == (11000.0,)
    assert [cell.speech for cell in (Cell(), Cell(rate=0), Cell(outage=1.0))] == ["yes", "no", "between"]


@pytest.mark.parametrize("outage", plan.OUTAGES)
def test_outages_are_repeated_with_the_cells_own_link_between_them(outage: float) -> None:
    found = schedule(Cell(loss=5, outage=outage), 16.0)
    assert len(found.shut) >= (2 if outage <= 3 else 1)
    assert found.back_ms == tuple(end for _, end in found.shut)
    assert found.restored_ms == found.shut[-1][1] == found.seconds * 1000.0 - 7000.0
    for start, end in found.shut:
        assert end - start == pytest.approx(outage * 1000.0)
        assert found.trace.at(start).rate_kbps == found.trace.at(end - 1.0).rate_kbps == 0.0
    for (_, end), (start, _) in zip(found.shut, found.shut[1:], strict=False):
        assert start - end >= 2000.0
        assert (found.trace.at(end).rate_kbps, found.trace.at(end).loss) == (2000.0, 0.05)
    assert found.trace.at(found.restored_ms).loss == 0.0


def test_a_cell_without_a_middle_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 10 s"):
        schedule(Cell(), 9.0)


def test_names_choose_cells() -> None:
    cells = default_plan()
    assert [c.name for c in chosen(cells, "loss5-*-rate300")] == ["loss5-jitter0-rate300"]
    assert [c.name for c in chosen(cells, "loss0-jitter0-rate2000, *outage30")] == [
        "loss0-jitter0-rate2000",
        "loss0-jitter0-rate2000-outage30",
        "loss5-jitter0-rate2000-outage30",
    ]
    assert chosen(cells, "loss7-*") == []
    assert len(chosen(cells, "*")) == len(cells)
