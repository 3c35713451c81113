"""The console on which no text can act."""

import io
import os

from rich.table import Table
from rich.text import Text

from hostile_texts import HOSTILE, acting
from qiltest.text.console import SafeConsole


def shown(*objects: object, colour: bool = False) -> str:
    out = io.StringIO()
    console = SafeConsole(file=out, width=60, force_terminal=colour, no_color=not colour)
    for item in objects:
        console.print(item)
    return out.getvalue()


def table() -> Table:
    found = Table(title=HOSTILE)
    found.add_column(HOSTILE)
    found.add_row(Text(HOSTILE, style="red"))
    found.add_row("[bold]not bold[/bold] :smile:")
    return found


def test_strings_texts_and_tables_act_on_nothing():
    assert acting(shown(HOSTILE, Text(HOSTILE), table())) == []


def test_markup_and_emoji_codes_are_shown_as_they_are():
    assert "[bold]not bold[/bold] :smile:" in shown(table())


def test_colours_are_the_consoles_own():
    out = shown(Text("\x1b[32mforged\x1b[0m", style="red"), colour=True)
    assert "\x1b[31m" in out
    assert "\x1b[32m" not in out


def test_a_command_that_styles_split_is_none_in_a_log():
    assert acting(shown(Text.assemble(("#", "red"), "#[error]x"))) == []


def test_a_reader_that_goes_away_ends_the_output_and_nothing_else():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        console = SafeConsole(file=pipe)
        console.print("nobody reads this")
        console.print("nor this")
        pipe.write("nor what others write")
