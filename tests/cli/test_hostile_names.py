"""Names and texts that try to act on a terminal, in every place of every command."""

import argparse
import json

import pytest
from PIL import Image

from builders import FAKE
from fake_runs import stored
from hostile_texts import HOSTILE, HOSTILE_LINE, acting
from qiltest.cli.main import COMMANDS, build_parser, main
from qiltest.reading import Line, Reading


def options(command):
    """Return the options of a command that take a value, each once."""
    subcommands = next(a for a in build_parser(command)._actions if isinstance(a, argparse._SubParsersAction))
    found = subcommands.choices[command]._actions
    return [action.option_strings[-1] for action in found if action.option_strings and action.nargs != 0]


PLACES = [(command, option) for command in COMMANDS for option in ("", *options(command))]


@pytest.fixture
def called(tmp_path, monkeypatch, capfd):
    """Call a command in an empty folder and return its exit code and all that it prints."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        try:
            code = main(words)
        except SystemExit as ended:
            code = ended.code
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.mark.parametrize(("command", "option"), PLACES, ids=[f"{c}{o}" for c, o in PLACES])
def test_an_argument_acts_on_nothing(called, command, option):
    given = [f"{option}={HOSTILE}"] if option else []
    code, out, err = called(command, *given, HOSTILE)
    assert acting(out + err) == []
    assert code in {0, 1, 2}
    assert code == 0 or err.strip()


def test_an_unknown_command_and_an_unknown_option_act_on_nothing(called):
    for words in ([HOSTILE], ["read", "x", f"--{HOSTILE}"], ["report"]):
        code, out, err = called(*words)
        assert code == 2
        assert acting(out + err) == []


class HostileReader:
    info = FAKE

    def read(self, image):
        box = ((0, 0), (200, 0), (200, 40), (0, 40))
        return Reading(
            reader=FAKE, width=300, height=200, lines=(Line(text=HOSTILE, box=box, confidence=0.5),), seconds=0.25
        )


@pytest.mark.parametrize("words", [["read"], ["score", "--expect", HOSTILE], ["score", "--expect", "Hello"]])
@pytest.mark.parametrize("as_json", [False, True])
def test_an_images_name_and_what_is_read_in_it_act_on_nothing(called, monkeypatch, tmp_path, words, as_json):
    Image.new("RGB", (8, 8)).save(tmp_path / HOSTILE_LINE, "PNG")
    for command in ("read", "score"):
        monkeypatch.setattr(f"qiltest.cli.{command}.open_reader", lambda name: HostileReader())
    code, out, err = called(words[0], HOSTILE_LINE, *words[1:], *(["--json"] if as_json else []))
    assert code in {0, 1}
    assert acting(out + err) == []
    if as_json:
        assert json.loads(out)["picture"] == HOSTILE_LINE


RUN_COMMANDS = [
    ["report", "latest"],
    *(["report", "latest", "--output", "-", "--format", form] for form in ("html", "md", "json")),
    ["rescore", "latest"],
    ["review", "latest", "--json"],
    ["review", "latest", "--accept-all"],
    ["compare", "latest", "--variant", "base", "--with", "8step", "--report", "page.html"],
    ["compare", "latest", "--variant", "base", "--with", "8step", "--json"],
]


@pytest.fixture
def runs(tmp_path, fake, case):
    """A folder with a run in which every text is hostile; its names are not, because a run with such a name is none."""
    sign = case("sign", HOSTILE, title=HOSTILE, prompt=HOSTILE, path=HOSTILE)
    run = fake(sign)
    run.add("sign", "base", HOSTILE.upper(), golden=(HOSTILE,))
    run.add("sign", "8step", HOSTILE, HOSTILE, golden=(HOSTILE,))
    run.add("sign", "4step", error=HOSTILE, image=False)
    known = {"model": HOSTILE, "device_name": HOSTILE, "command": (HOSTILE,), "problems": (HOSTILE,)}
    stored(tmp_path / "stored", run.build(**known, versions=((HOSTILE, HOSTILE),)))
    return tmp_path / "stored"


@pytest.mark.parametrize("words", RUN_COMMANDS, ids=[" ".join(words) for words in RUN_COMMANDS])
def test_the_texts_of_a_stored_run_act_on_nothing(called, runs, words):
    code, out, err = called(*words, "--runs", str(runs))
    assert acting(out + err) == []
    assert code in {0, 1, 2}
    if "-" in words:
        assert "PWNED" in out
