from builders import FAKE
from qiltest.reading import Line, Reading, suspicious


def line(text, characters, *, box=((0, 0), (100, 0), (100, 20), (0, 20)), confidence=0.9):
    return Line(text=text, box=box, confidence=confidence, characters=tuple(characters))


def reading(*lines):
    return Reading(reader=FAKE, width=200, height=200, lines=lines, seconds=0.0)


def test_a_doubtful_character_is_reported_with_its_place():
    (found,) = suspicious(reading(line("籽粒渐趋", [0.99, 0.98, 0.4, 0.99])))
    assert (found.text, found.line, found.index, found.confidence) == ("渐", 0, 2, 0.4)
    assert found.place == (62.5, 10.0)


def test_in_a_column_the_place_runs_down():
    column = line("通义", [0.99, 0.3], box=((0, 0), (20, 0), (20, 100), (0, 100)))
    assert suspicious(reading(column))[0].place == (10.0, 75.0)


def test_noise_and_blanks_are_not_suspicious():
    assert suspicious(reading(line("%7", [0.2, 0.2], confidence=0.2), line("a b", [0.9, 0.1, 0.9]))) == ()


def test_only_the_lines_asked_for_are_looked_at():
    both = reading(line("a", [0.1]), line("b", [0.1]))
    assert [item.text for item in suspicious(both, {1})] == ["b"]


def test_a_reader_without_confidence_per_character_suspects_nothing():
    assert suspicious(reading(line("ab", []))) == ()
