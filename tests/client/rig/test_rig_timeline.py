import numpy as np

from client.rig.timeline import Span, match_kinds, spans


def test_spans_follow_each_other_and_end_with_the_call() -> None:
    found = spans([(0.0, "real"), (6100.0, "synth"), (6100.0, "real"), (9000.0, "synth")], 8000.0)
    assert found == [Span("real", 0.0, 6100.0), Span("real", 6100.0, 8000.0)]
    assert Span("x", 10.0, 20.0).holds(np.array([9.9, 10.0, 19.9, 20.0])).tolist() == [False, True, True, False]


def test_kinds_follow_the_media_clock_and_not_the_arrival() -> None:
    sent = [(index * 40.0, "real" if index < 50 else "synth") for index in range(100)]
    rows = [index for index in range(100) if index != 49]
    arrivals = np.array([sent[index][0] + 15.0 + (30.0 if index == 51 else 0.0) for index in rows])
    media = np.array([sent[index][0] + 123456.0 for index in rows])
    kinds = match_kinds(arrivals, media, sent)
    assert kinds[:49].tolist() == ["real"] * 49
    assert kinds[49:].tolist() == ["synth"] * 50


def test_kinds_are_unknown_where_the_node_said_nothing() -> None:
    assert match_kinds(np.array([1.0, 2.0]), np.array([1.0, 2.0]), []).tolist() == ["", ""]
