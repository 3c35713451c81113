"""Mistakes in case files: the session ends before anything is generated, and names each with its file."""

import os

import pytest

COFFEE = "coffee.toml"


def refused(suite, *said):
    result = suite.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    text = result.stdout.str() + result.stderr.str()
    for words in said:
        assert words in text
    assert "  -> fix these" in text
    assert "Traceback" not in text
    assert suite.generated() == []
    left = suite.refusal()
    assert all(words in left for words in said)


def rewrite(suite, before, after, name=COFFEE):
    path = suite.path / "cases" / name
    assert path.read_text().count(before) >= 1
    path.write_text(path.read_text().replace(before, after))


def test_an_unknown_key(suite):
    rewrite(suite, 'title = "', 'titel = "')
    refused(suite, "cases/coffee.toml", "titel")


def test_a_missing_text(suite):
    path = suite.path / "cases" / COFFEE
    text = path.read_text()
    path.write_text(text[: text.index("[[texts]]")] + text[text.index("[[resolutions]]") :])
    refused(suite, "cases/coffee.toml", "texts")


@pytest.mark.parametrize("limit", ["tolerance = 18", "absolute = 1000000000", f"tolerance = 1{'0' * 30}"])
def test_a_limit_that_an_image_without_any_text_would_pass(suite, limit):
    rewrite(suite, "[[resolutions]]", f"[limits]\n{limit}\n\n[[resolutions]]")
    refused(suite, "cases/coffee.toml", f"limits.{limit.split()[0]}", "allows all 18 characters of the required texts")


def test_a_text_that_nobody_sees(suite):
    rewrite(suite, 'text = "Qwen Coffee"', 'text = "\\u3164\\u034F"\nin_prompt = false')
    refused(suite, "cases/coffee.toml", "texts[0].text", "characters nobody sees")


def test_texts_of_which_hardly_any_is_required(suite):
    rewrite(suite, 'text = "Qwen Coffee"', 'text = "Qwen Coffee"\nrequired = false')
    rewrite(suite, 'text = "2 dollars"', 'text = "2"')
    refused(suite, "cases/coffee.toml", "texts: 1 of 11 characters are required, so an image of garbage could pass")


def test_an_optional_mark_of_letters(suite):
    rewrite(suite, 'text = "Qwen Coffee"', 'text = "Qwen Coffee"\noptional_marks = ["wenCoffee"]')
    refused(suite, "cases/coffee.toml", "texts[0].optional_marks[0]", '"wenCoffee" has letters or digits')


def test_a_case_file_of_megabytes(suite):
    path = suite.path / "cases" / COFFEE
    path.write_text(path.read_text() + "#" * (2 << 20))
    refused(suite, "cases/coffee.toml", "cannot be read: File too large")


@pytest.mark.timeout(60)
def test_a_case_file_that_is_a_fifo(suite):
    os.mkfifo(suite.path / "cases" / "queue.toml")
    refused(suite, "cases/queue.toml", "cannot be read: Not a regular file")


def test_an_empty_text(suite):
    rewrite(suite, 'text = "Qwen Coffee"', 'text = ""')
    refused(suite, "cases/coffee.toml", "texts[0].text")


def test_a_duplicate_id(suite):
    rewrite(suite, 'id = "poster"', 'id = "coffee"', "poster.toml")
    refused(suite, "cases/poster.toml", '"coffee" is also the id of coffee.toml')


@pytest.mark.parametrize("name", ["Coffee", "../coffee", "-coffee", "coffee shop", "c" * 65])
def test_an_id_that_is_no_plain_name(suite, name):
    rewrite(suite, 'id = "coffee"', f'id = "{name}"')
    refused(suite, "cases/coffee.toml", "[a-z0-9][a-z0-9-]{0,63}")


def test_all_mistakes_of_all_files_at_once_each_with_its_path(suite):
    rewrite(suite, 'title = "', 'titel = "')
    rewrite(suite, 'size = "1328x1328"', 'size = "big"', "poster.toml")
    rewrite(suite, "steps = 4", "steps = 0", "variants.toml")
    refused(suite, "cases/coffee.toml", "titel", "cases/poster.toml", "cases/variants.toml", "steps")
