import json
import re
from pathlib import Path

import pytest
from PIL import Image

from builders import FAKE
from qiltest.cli.main import build_parser
from qiltest.errors import QiltestError
from qiltest.files import read_file
from qiltest.reading import Line, Reading, images

CASES = Path(__file__).parents[2] / "cases"


class FakeReader:
    info = FAKE
    texts = ("Hello", "World")

    def read(self, image):
        lines = [
            Line(text=text, box=((0, 60 * i), (200, 60 * i), (200, 60 * i + 40), (0, 60 * i + 40)), confidence=0.987)
            for i, text in enumerate(self.texts)
        ]
        return Reading(reader=FAKE, width=300, height=200, lines=tuple(lines), seconds=0.25)


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*argv, texts=("Hello", "World")):
        monkeypatch.setattr(FakeReader, "texts", texts)
        for command in ("read", "score"):
            monkeypatch.setattr(f"qiltest.cli.{command}.open_reader", lambda name: FakeReader())
        args = build_parser(argv[0]).parse_args(argv)
        return args.handler(args), capsys.readouterr().out

    return call


def test_reading_one_image_prints_its_lines_as_json(run):
    code, out = run("read", "a.png", "--json")
    record = json.loads(out)
    assert code == 0
    assert record["picture"] == "a.png"
    assert record["reader"] == FAKE.fingerprint
    box = [[0, 0], [200, 0], [200, 40], [0, 40]]
    assert record["lines"][0] == {"text": "Hello", "box": box, "confidence": 0.987, "strokes": [None] * 5}
    assert (record["glyphs"], record["broken_strokes"]) == ("", [])


def test_reading_several_images_prints_a_list(run):
    assert [item["picture"] for item in json.loads(run("read", "a.png", "b.png", "--json")[1])] == ["a.png", "b.png"]


def test_reading_for_people_shows_text_and_confidence(run):
    _, out = run("read", "a.png")
    assert "Hello" in out
    assert "0.987" in out


@pytest.mark.parametrize("words", [("read",), ("score", "--expect", "Hello", "World")], ids=["read", "score"])
@pytest.mark.parametrize(
    ("image", "frames", "said"),
    [
        (Image.new("RGBA", (64, 64), (0, 0, 0, 99)), [], "is transparent in places: it is read on white"),
        (
            Image.new("RGB", (64, 64)),
            [Image.new("RGB", (64, 64), "red")],
            "has several frames (an animation, or pages)",
        ),
        (Image.new("RGBA", (64, 64), "black"), [], ""),
    ],
    ids=["transparent", "frames", "opaque"],
)
def test_what_of_a_file_is_not_read_is_said_once_and_the_file_is_opened_once(
    monkeypatch, capsys, tmp_path, words, image, frames, said
):
    opened = []
    monkeypatch.setattr(images, "read_file", lambda path, **most: opened.append(path) or read_file(path, **most))
    for command in ("read", "score"):
        monkeypatch.setattr(f"qiltest.cli.{command}.open_reader", lambda name: FakeReader())
    path = tmp_path / "a.png"
    image.save(path, save_all=bool(frames), append_images=frames)
    args = build_parser(words[0]).parse_args([words[0], str(path), *words[1:]])
    assert args.handler(args) == 0
    err = capsys.readouterr().err
    assert err.count(f"{path} {said}") == bool(said)
    assert bool(err) == bool(said)
    assert opened == [path]


def test_an_image_that_shows_what_was_asked_passes(run):
    code, out = run("score", "a.png", "--expect", "Hello World", "--json")
    record = json.loads(out)
    assert (code, record["verdict"], record["distance"], record["case"]) == (0, "PASS", 0, None)
    assert [text["expected"] for text in record["texts"]] == ["Hello World"]


def test_a_typo_fails_and_is_named(run):
    code, out = run("score", "a.png", "--expect", "Hello World", "--json", texts=("Helllo", "World"))
    record = json.loads(out)
    assert (code, record["verdict"], record["distance"]) == (1, "FAIL", 1)
    assert record["texts"][0]["edits"][0]["kind"] == "insert"


def test_several_texts_are_answered_in_the_order_asked(run):
    out = run("score", "a.png", "--expect", "World", "Hello", "--json")[1]
    assert [text["read"] for text in json.loads(out)["texts"]] == ["World", "Hello"]


def test_a_limit_lets_a_typo_pass(run):
    assert run("score", "a.png", "--expect", "Hello World!", "--limit", "1")[0] == 0


def test_texts_of_the_command_line_are_strict_about_hyphens_unless_told(run):
    asked = ("score", "a.png", "--expect", "535-238", "--json")
    assert json.loads(run(*asked, texts=("535", "238"))[1])["distance"] == 1
    assert json.loads(run(*asked, "--line-breaks", "layout", texts=("535", "238"))[1])["distance"] == 0


def test_look_alikes_are_forgiven_by_name_only(run):
    asked = ("score", "a.png", "--expect", "Hello World", "--json")
    assert json.loads(run(*asked, texts=("Hello", "world"))[1])["distance"] == 1
    assert json.loads(run(*asked, "--forgive", "c/C", texts=("Hello", "world"))[1])["distance"] == 0


def test_the_marked_text_shows_each_edit_in_its_place_and_the_text_as_it_was_read(run):
    _, out = run("score", "a.png", "--expect", "Hello World", "--reader", "fake", texts=("Hallo Wrldx",))
    assert "Hallo W▁rldx" in out
    _, out = run("score", "a.png", "--expect", "Hello World", "--expect", "Sale", texts=("Hello World",))
    assert "▁▁▁▁" in out


def test_a_mark_named_optional_may_be_missing(run):
    assert run("score", "a.png", "--expect", "Hello 😊 World", "--optional", "😊")[0] == 0


def test_an_empty_reading_is_an_error_verdict(run):
    code, out = run("score", "a.png", "--expect", "Hello", "--json", texts=())
    record = json.loads(out)
    assert (code, record["verdict"], record["distance"]) == (1, "ERROR", None)
    assert record["texts"][0]["distance"] is None
    assert "returned no text" in record["error"]


@pytest.mark.parametrize("mode", ["RGBA", "RGB"])
def test_nothing_read_on_transparency_may_be_white_text_on_white(run, tmp_path, mode):
    Image.new("RGBA", (300, 200), (255, 255, 255, 0)).convert(mode).save(tmp_path / "a.png")
    error = json.loads(run("score", str(tmp_path / "a.png"), "--expect", "Hello", "--json", texts=())[1])["error"]
    said = "returned no text; it is transparent in places, which are laid on white: white text there cannot be seen"
    assert (said in error) == (mode == "RGBA")
    assert "returned no text" in error


def test_a_case_brings_its_texts_and_policy(run):
    texts = ("Qwen Coffee", "$2 per cup", "π≈3.1415926-53589793", "23846264-33832795-02384197", "通义千问")
    record = json.loads(
        run("score", "a.png", "--case", "coffee-shop@713x1280", "--cases", str(CASES), "--json", texts=texts)[1]
    )
    assert (record["case"], record["distance"], len(record["texts"])) == ("coffee-shop@713x1280", 0, 3)


def test_an_unknown_case_is_an_error(run):
    with pytest.raises(QiltestError, match="no-such-case"):
        run("score", "a.png", "--case", "no-such-case", "--cases", str(CASES))


def test_optional_marks_belong_to_expected_texts(run):
    with pytest.raises(QiltestError, match="--expect"):
        run("score", "a.png", "--case", "capybara", "--cases", str(CASES), "--optional", "x")


@pytest.mark.parametrize(
    "written",
    [
        ("--expect=-15~-10°C", "--expect=World"),
        ("--expect=World", "--expect=-15~-10°C"),
        ("--expect", "-15~-10°C", "World"),
        ("--expect", "World", "-15~-10°C"),
        ("--expect", "-15~-10°C", "--expect", "World"),
    ],
)
def test_a_text_may_begin_with_a_hyphen_and_several_are_all_expected(run, written):
    code, out = run("score", "a.png", *written, "--json", texts=("-15~-10°C", "World"))
    texts = [word.rpartition("=")[2] for word in written if word != "--expect"]
    assert [text["expected"] for text in json.loads(out)["texts"]] == texts
    assert code == 0


def test_the_image_may_follow_a_text_that_is_bound_to_its_option(run):
    assert run("score", "--expect=Hello World", "a.png")[0] == 0


@pytest.mark.parametrize("texts", [("Hello",), ("Hello-",)])
@pytest.mark.parametrize("mark", [("--optional", "-"), ("--optional=-",), ("--optional", "-", "--optional", "-")])
def test_an_optional_mark_may_be_a_hyphen(run, texts, mark):
    assert run("score", "a.png", "--expect", "Hello-", *mark, texts=texts)[0] == 0


def test_look_alikes_that_begin_with_a_hyphen_are_told_which_there_are(run):
    with pytest.raises(QiltestError, match=r"unknown look-alike class: '-/_'\n  -> choose from: .*dashes"):
        run("score", "a.png", "--expect", "Hello", "--forgive", "-/_")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("--expect", "--5°C--"), "--expect=VALUE"),
        (("--expect", "A", "--5°C--"), "unrecognized arguments: --5°C--\n.* is written --expect=TEXT"),
        (("--expect", "A", "-json"), "unrecognized arguments: -json\n.* lists the options"),
        (("--expect", "A", "--limt", "2"), "unrecognized arguments: --limt 2\n.* lists the options"),
        (("--case", "-x"), "argument --case: expected one argument\n.*--case=VALUE"),
    ],
)
def test_a_word_with_hyphens_that_is_no_text_gets_an_error_that_tells_how_to_write_one(run, capsys, argv, told):
    with pytest.raises(SystemExit, match="2"):
        run("score", "a.png", *argv)
    assert re.search(told, capsys.readouterr().err)


@pytest.mark.parametrize("argv", [("score", "a.png"), ("read",), ("score", "a.png", "--expect", "x", "--limit", "-1")])
def test_wrong_use_exits_with_2(run, argv):
    with pytest.raises(SystemExit) as stopped:
        run(*argv)
    assert stopped.value.code == 2


def test_the_readable_answer_names_text_distance_and_verdict(run):
    _, out = run("score", "a.png", "--expect", "Hello Warld")
    assert "FAIL: distance 1, limit 0" in out
    assert "1" in out


def test_texts_with_characters_that_the_reader_cannot_return_are_an_error_and_no_distance(run, monkeypatch):
    monkeypatch.setattr(FakeReader, "alphabet", "Helo Wrd", raising=False)
    assert run("score", "a.png", "--expect", "Hello World")[0] == 0
    code, out = run("score", "a.png", "--expect", "Hello 世界", "--json")
    record = json.loads(out)
    assert (code, record["verdict"], record["distance"]) == (1, "ERROR", None)
    assert record["error"].startswith("--expect: fake cannot return 世 界 of 'Hello 世界': not in its alphabet")
    assert run("score", "a.png", "--expect", "Hello 世", "--optional", "世")[0] == 0


def test_published_benchmarks_stand_beside_the_score_and_decide_nothing(run):
    code, out = run("score", "a.png", "--expect", "World Hello", "Hello", "--limit=20", "--json")
    assert json.loads(out)["benchmarks"] == {
        "language": "en",
        "longtext": {"text_accuracy": 2 / 3},
        "oneig": {
            "edit_distance": 10.0,  # "World " before it, and the last word, which has one letter in its place
            "completion_rate": 0.0,
            "word_accuracy": 2 / 3,
            "text_score": pytest.approx(1 - 10 / 3 / 100),
        },
    }
    assert code == 0
    assert json.loads(run("score", "a.png", "--expect", "?!", "--limit=9", "--json")[1])["benchmarks"] is None
