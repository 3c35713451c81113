"""docs/guide/edit-cases.md, typed as it stands into a new project: its case, its variants, each command."""

import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

import apart
from qiltest.cli.main import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guide/edit-cases.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    ((?:qiltest|pytest) .+)$", PAGE, re.MULTILINE)
OTHERS = (ROOT / "docs/guide/variants-of-other-models.toml").read_text(encoding="utf-8")


def draw(path, text):
    """A shop with a text on its sign."""
    image = Image.new("RGB", (512, 512), "lightblue")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(50)
    pen.rectangle((80, 80, 300, 160), fill="white")
    pen.text((100, 90), text, fill="black", font=font)
    pen.text((100, 300), "Main Street", fill="black", font=font)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.resize((1024, 1024)).save(path)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The page's project with its case, its image, and an edit of it."""
    monkeypatch.chdir(tmp_path)
    assert main(command("qiltest init")) == 0
    folder = tmp_path / "shop"
    monkeypatch.chdir(folder)
    draw(folder / "cases/edit/inputs/shop.png", "SALE")
    draw(folder / "shop.png", "SALE")
    draw(folder / "output.png", "OPEN")
    (folder / "cases/edit/shop-sign.toml").write_text(re.search(r"^```toml\n(.*?)^```", PAGE, re.S | re.M)[1])
    return folder


def copy_variants(folder, model):
    """Append the tables of a model's variants to the project's, as the page says."""
    tables = re.split(r"^(?=\[)", OTHERS, flags=re.MULTILINE)[1:]
    own = [table for table in tables if f'base_model = "{model}"' in table]
    assert own
    with (folder / "cases/variants.toml").open("a", encoding="utf-8") as file:
        file.write("\n" + "".join(own))


def command(*begin):
    (found,) = (line for line in COMMANDS if line.startswith(" ".join(begin)))
    return shlex.split(found)[1:]


def test_every_command_of_the_page_is_tried_here():
    embedded = "pytest --qil-model=tiny-edit "
    kinds = ("qiltest init ", "pytest -m gpu ", embedded, "qiltest score ", "qiltest plan ", "pytest --qil-images ")
    assert {next(kind for kind in kinds if line.startswith(kind)) for line in COMMANDS} == set(kinds)


def test_the_plan_has_the_models_variants_and_the_cases_input(project, capsys):
    plan = command("qiltest plan")
    assert main(plan) == 0
    images = json.loads((project / "plan.json").read_text())["images"]
    names = [name for name in tomllib.loads(OTHERS) if name.startswith("edit-2511")]
    assert [image["variant"] for image in images] == names
    assert {image["inputs"][0]["file"] for image in images} == {"inputs/shop.png"}
    assert main([*plan[: plan.index("--model")], "--output=other.json"]) == 2  # it is Qwen/Qwen-Image without a name
    assert "the model generates from text alone" in capsys.readouterr().err


def test_a_project_without_them_is_told_to_copy_the_variants(project, tmp_path, capsys, monkeypatch):
    assert main(["init", str(tmp_path / "other")]) == 0
    monkeypatch.chdir(tmp_path / "other")
    shutil.copytree(project / "cases/edit", "cases/edit")
    plan = command("qiltest plan")
    assert main(plan) == 2
    assert "copy those of this model into variants.toml (docs/guide/models.md#which-variant)" in capsys.readouterr().err
    copy_variants(tmp_path / "other", "Qwen/Qwen-Image-Edit-2511")
    assert main(plan) == 0


@pytest.mark.slow
def test_the_embedded_editing_model_makes_the_projects_own_edit_and_passes_at_once(project):
    words = command("pytest --qil-model=tiny-edit")
    done = apart.run_pytest(["-q", *words], project, loads=apart.MODEL)
    assert done.ret == 0
    done.stdout.fnmatch_lines(["*3 passed*"])


@pytest.mark.slow
def test_one_image_is_scored_without_a_session(project, capsys):
    scores = [shlex.split(line)[1:] for line in COMMANDS if line.startswith("qiltest score")]
    assert len(scores) == 2
    for words in scores:
        assert main(words) == 0
        assert "rest of the image: 0 % changed" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_what_another_program_made_is_judged_with_the_editing_model_alone(project):
    for name in tomllib.loads(OTHERS):
        if name.startswith("edit-2511"):
            draw(project / f"images/shop-sign@1024x1024-{name}-s42.png", "OPEN")
    words = command("pytest --qil-images")
    judged = apart.run_pytest(words, project, loads=apart.READER)
    # they are drawn alike, and everything else is as it should be
    judged.stdout.fnmatch_lines(["*one image under several samples*"])
    place = words.index("--qil-model")
    alone = [*words[:place], *words[place + 2 :]]
    refused = apart.run_pytest(alone, project)
    refused.stdout.fnmatch_lines(["*the model generates from text alone*"])
