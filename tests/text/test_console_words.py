"""A safe console: where it writes, what it leaves as it is, and what it does when its stream ends."""

import io
import os

import pytest
from rich.segment import ControlType, Segment
from rich.text import Text

from qiltest.text.console import OutputError, SafeConsole, discard


def test_it_writes_to_standard_output_unless_told_otherwise(capsys):
    SafeConsole().print("out")
    SafeConsole(stderr=True).print("error")
    other = io.StringIO()
    SafeConsole(file=other, stderr=True).print("other")
    assert (*capsys.readouterr(), other.getvalue()) == ("out\n", "error\n", "other\n")


def test_markup_emoji_codes_and_numbers_are_printed_as_they_are():
    stream = io.StringIO()
    console = SafeConsole(file=stream, force_terminal=True, color_system="truecolor", width=80)
    console.print("[red]x[/red] :smile: 123 'a' True")
    assert stream.getvalue() == "[red]x[/red] :smile: 123 'a' True\n"


def test_a_text_is_laid_out_with_the_options_given():
    console = SafeConsole(file=io.StringIO(), width=80)
    options = console.options.update(width=4)
    lines = "".join(segment.text for segment in console.render(Text("abc def"), options)).split()
    assert lines == ["abc", "def"]


def test_control_segments_pass_and_control_characters_are_shown():
    console = SafeConsole(file=io.StringIO(), width=80)
    bell = Segment("\x07", None, [(ControlType.BELL,)])

    class Rung:
        def __rich_console__(self, _console, _options):
            yield bell
            yield Segment("plain")
            yield Segment("\x07")

    found = list(console.render(Rung()))
    assert found == [bell, Segment("plain"), Segment("\u2407")]
    assert found[0] is bell


def test_an_unchanged_segment_is_handed_on_itself():
    console = SafeConsole(file=io.StringIO(), width=80)
    segment = Segment("plain")

    class Plain:
        def __rich_console__(self, _console, _options):
            yield segment

    assert next(iter(console.render(Plain()))) is segment


def test_a_reader_that_goes_away_ends_the_output_and_nothing_else():
    inner, outer = os.pipe()
    os.close(inner)
    stream = os.fdopen(outer, "w")
    console = SafeConsole(file=stream)
    console.print("x" * 100)
    stream.flush()
    assert console.quiet is True
    console.print("more")
    stream.close()


def test_another_error_of_the_stream_is_an_output_error_with_its_number():
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left") as error:
        SafeConsole(file=Full()).print("x")
    assert error.value.errno == 28


@pytest.mark.parametrize("fault", [OSError(9, "closed"), ValueError("closed"), AttributeError("none")])
def test_a_stream_that_has_no_descriptor_is_discarded_without_an_error(fault):
    class Stream:
        def fileno(self):
            raise fault

    discard(Stream())


def test_what_is_discarded_goes_nowhere_and_the_descriptor_stays_open(tmp_path):
    with (tmp_path / "a").open("w") as stream:
        discard(stream)
        stream.write("lost")
    assert (tmp_path / "a").read_text() == ""
