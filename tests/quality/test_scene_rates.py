"""What `benchmarks/quality/scene.py` writes of its comparisons."""

from scene import _rate


def test_a_miss_is_named_although_the_same_text_was_found_on_another_image():
    row = _rate("attack", [("shop on cat", "replaced"), ("shop on street", ""), ("sign on cat", " page")])
    assert (row["alarms"], row["of"], row["page"]) == (1, 3, 1)
    assert row["exceptions"] == ["shop on street", "sign on cat"]


def test_the_exceptions_of_a_good_change_are_its_alarms():
    assert _rate("control", [("shop", "gone"), ("cat", "")])["exceptions"] == ["shop"]
