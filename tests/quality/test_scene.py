"""What an image is like outside its text: the record, the small copy, the measures, and the comparison of two."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

import builders as make
from qiltest.quality.scene import VERSION, ChangeKind, Scene, SmallCopy, is_page, scene_change, scene_of
from qiltest.quality.scene.measure import second_differences
from qiltest.quality.scene.records import NO_CELL, Cell
from qiltest.quality.scene.small import to_lab
from qiltest.strict_json import StrictJsonError, decode

BLUE = Cell(lightness=40, a=10, b=-40, texture=4)
RED = Cell(lightness=60, a=60, b=40, texture=4)
EVERYWHERE = make.line("all", -50, -50, 900, 900)


def flat(value, height=256, width=256):
    return np.full((height, width, 3), value, np.uint8)


def measured(pixels, *lines):
    return scene_of(SmallCopy.of(pixels), lines)


def grey_of(plane):
    """An RGB image of a plane of grey values."""
    return np.repeat(np.asarray(plane, np.uint8)[..., None], 3, axis=-1)


# the record


def test_a_cell_is_four_bytes_in_hexadecimal():
    assert Cell(lightness=100, a=0, b=0, texture=0).code() == "ff808000"
    assert Cell(lightness=40, a=-3, b=12, texture=1.64).code() == "667d8c10"
    assert Cell.parse("667d8c10") == Cell(lightness=40, a=-3, b=12, texture=1.6)


def test_a_cell_beyond_what_a_byte_holds_is_cut_off():
    assert Cell(lightness=120, a=-200, b=200, texture=99).code() == "ff00ffff"
    assert Cell(lightness=-1, a=0, b=0, texture=-1).code() == "00808000"


def test_a_scene_gives_its_cells_row_by_row_without_those_that_text_covers():
    found = list(make.scene(BLUE, None, RED).grid())
    assert len(found) == 64
    assert found[:2] == [BLUE, None]
    assert {cell.code() for cell in found[2:]} == {RED.code()}


def test_a_scene_is_read_back_as_it_was_written():
    scene = measured(flat(90), make.line("text", 20, 20, 100, 30))
    assert decode(Scene, json.dumps(asdict(scene))) == scene


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", 1.5),
        ("text", -0.1),
        ("structure", [1.0] * 4),
        ("structure", [1.0] * 6),
        ("structure", [-1.0] * 5),
        ("structure", ["1"] * 5),
        ("cells", [" ".join(["ff808000"] * 8)] * 7),
        ("cells", [" ".join(["ff808000"] * 8)] * 9),
        ("cells", [" ".join(["ff808000"] * 7)] * 8),
        ("cells", [" ".join(["ff808000"] * 9)] * 8),
        ("cells", [" ".join(["FF808000"] * 8)] * 8),
        ("cells", [" ".join(["ff80800"] * 8)] * 8),
        ("cells", ["ff808000" * 8] * 8),
        ("cells", [""] * 8),
        ("version", "1"),
        ("mood", "calm"),
    ],
)
def test_a_scene_that_is_not_one_is_refused_and_the_field_is_named(field, value):
    record = {**asdict(make.scene()), field: value}
    with pytest.raises(StrictJsonError, match=field):
        decode(Scene, json.dumps(record))


# the small copy


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((119, 119, 119), (50.03, 0, 0)),
        ((2, 2, 2), (0.55, 0, 0)),
        ((10, 10, 10), (2.74, 0, 0)),
        ((11, 11, 11), (3.02, 0, 0)),
    ],
)
def test_colours_become_cie_lab_under_daylight(rgb, lab):
    assert to_lab(np.array([[rgb]], np.uint8))[0, 0] == pytest.approx(lab, abs=0.02)


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((1024, 512), (256, 128)),
        ((300, 600), (128, 256)),
        ((256, 256), (256, 256)),
        ((20, 9), (20, 9)),
        ((3000, 2), (256, 1)),
    ],
)
def test_the_longer_side_of_the_small_copy_is_at_most_256(size, small):
    copy = SmallCopy.of(flat(0, *size))
    assert copy.lab.shape == (*small, 3)
    assert (copy.height, copy.width) == size


def test_the_small_copy_is_made_of_means():
    stripes = flat(0, 512, 512)
    stripes[:, ::2] = 200
    grey = to_lab(flat(100, 1, 1))
    assert SmallCopy.of(stripes).lab == pytest.approx(np.broadcast_to(grey, (256, 256, 3)))


def test_text_is_covered_with_a_margin_of_its_height():
    free = SmallCopy.of(flat(0, 200, 200)).outside([make.line("text", 50, 80, 100, 20)])
    # 0.3 x 20 pixels
    rows, columns = np.nonzero(~free)
    assert (rows.min(), rows.max()) == (74, 106)
    assert (columns.min(), columns.max()) == (44, 156)
    assert not free[75:105, 50:150].any()
    # the margin's corners are round
    assert free[74, 44]


def test_the_margin_is_at_least_one_and_a_half_pixels_of_the_small_copy():
    free = SmallCopy.of(flat(0, 100, 100)).outside([make.line("i", 50, 50, 2, 2)])
    rows, columns = np.nonzero(~free)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (48, 53, 48, 53)


def test_text_is_covered_where_it_is_on_the_small_copy():
    lines = [make.line("text", 400, 100, 200, 40)]
    large = SmallCopy.of(flat(0, 512, 1024)).outside(lines)
    assert large.shape == (128, 256)
    rows, columns = np.nonzero(~large)
    # 100 to 140 of 512 rows, 400 to 600 of 1024 columns, and three pixels around
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (22, 38, 97, 153)


def test_slanted_text_is_covered_along_its_slant():
    line = replace(make.line("a", 0, 0, 1, 1), box=((20, 20), (160, 160), (150, 170), (10, 30)))
    free = SmallCopy.of(flat(0, 200, 200)).outside([line])
    assert not free[90, 90]
    assert free[20, 160]
    assert free[160, 20]


def test_all_lines_are_covered_and_without_lines_nothing_is():
    copy = SmallCopy.of(flat(0, 200, 200))
    assert copy.outside([]).all()
    both = copy.outside([make.line("a", 10, 10, 20, 10), make.line("b", 10, 100, 20, 10)])
    assert not both[15, 20]
    assert not both[105, 20]


# the measures


def test_a_plain_image_has_no_structure_and_one_colour():
    scene = measured(flat(255))
    assert scene == Scene(version=VERSION, text=0.0, structure=(0.0,) * 5, cells=(" ".join(["ff808000"] * 8),) * 8)


def test_the_share_of_text_is_that_of_the_covered_pixels():
    copy = SmallCopy.of(flat(255))
    lines = [make.line("a", 20, 20, 100, 30)]
    assert scene_of(copy, lines).text == round(float((~copy.outside(lines)).mean()), 3) == 0.085


def test_a_shading_is_no_structure():
    ramp = grey_of(np.broadcast_to(np.linspace(20, 230, 256), (256, 256)))
    assert max(measured(ramp).structure) < 0.35
    assert is_page(measured(ramp))


def test_second_differences_are_halved_cut_off_and_outside_text():
    plane = np.array([[0, 10, 0, 90, 90]] * 3, np.float32)
    everywhere = np.ones(plane.shape, bool)
    across = [10, (90 - 20 + 10) / 2 - 0.0, 45]
    # |0 + 0 - 20| / 2, |10 + 90 - 0| / 2 and |0 + 90 - 180| / 2; the last two are cut off
    found = second_differences(plane, everywhere)
    assert len(across) == 3
    assert sorted(found) == [0] * 5 + [10] * 3 + [24] * 6
    some = everywhere.copy()
    some[:, 4] = False
    assert sorted(second_differences(plane, some)) == [0] * 4 + [10] * 3 + [24] * 3


def test_structure_is_measured_at_each_scale():
    # lines of 4 pixels: at the third scale they are a plain grey
    plane = np.where(np.arange(256) // 2 % 2, 130, 120)
    fine, second, *coarse = measured(grey_of(np.broadcast_to(plane, (256, 256)))).structure
    step = 2.55 * float(to_lab(flat(130, 1, 1))[0, 0, 0] - to_lab(flat(120, 1, 1))[0, 0, 0])
    # across, every pixel bends by half a step; down, none does
    assert fine == pytest.approx(step / 4, abs=0.002)
    # means of 2 x 2 alternate: each bends by a step
    assert second == pytest.approx(step / 2, abs=0.002)
    assert coarse == [0.0, 0.0, 0.0]


def test_text_does_not_bleed_into_coarser_scales():
    page = flat(255)
    page[100:131, 40:201:2] = 0
    scene = measured(page, make.line("text", 40, 100, 160, 30))
    assert scene.structure == (0.0,) * 5
    assert {code for row in scene.cells for code in row.split(" ")} == {"ff808000", NO_CELL}
    assert max(measured(page).structure) > 2


def test_where_text_covers_everything_nothing_is_measured():
    scene = measured(flat(90), EVERYWHERE)
    assert scene == Scene(version=VERSION, text=1.0, structure=(None,) * 5, cells=(" ".join([NO_CELL] * 8),) * 8)
    assert not is_page(scene)


def test_a_scale_of_few_differences_is_not_measured():
    # 9 x 9 pixels: 2 x 7 x 9 second differences, and at the next scale 2 x 2 x 4
    structure = measured(flat(90, 9, 9)).structure
    assert structure == (0.0, None, None, None, None)
    # 6 x 8: 4 x 8 + 6 x 6 = 68, 6 x 7: 4 x 7 + 6 x 5 = 58
    assert measured(flat(90, 6, 8)).structure[0] == 0.0
    assert measured(flat(90, 6, 7)).structure[0] is None


def test_cells_are_the_mean_colour_and_texture_of_their_place():
    pixels = flat(255)
    pixels[32:64, 64:96] = (255, 0, 0)
    pixels[64:96, :32:2] = 200
    rows = [row.split(" ") for row in measured(pixels).cells]
    assert Cell.parse(rows[1][2]).a == pytest.approx(80, abs=1)
    assert Cell.parse(rows[1][2]).texture == 0
    assert rows[1][3] == "ff808000"
    assert Cell.parse(rows[2][0]).texture > 10
    assert rows[3][0] == rows[0][0] == "ff808000"


def test_a_cell_that_text_covers_by_more_than_four_fifths_has_no_colour():
    copy = SmallCopy.of(flat(0))
    # a line of height 20 with its margin of 6 above the cells of 32 x 32 that it covers from above
    for bottom, covered in ((20.0, 26), (19.0, 25)):
        line = make.line("text", -40, bottom - 20, 400, 20)
        free = copy.outside([line])[:32, 64:96]
        assert (~free).sum() == 32 * covered
        assert (scene_of(copy, [line]).cells[0].split(" ")[2] == NO_CELL) == (covered == 26)


def test_an_image_smaller_than_its_cells_has_few():
    assert all(cell is None for cell in measured(flat(90, 3, 3)).grid())


# the comparison


def test_the_same_scene_is_no_change():
    assert scene_change(make.SCENE, make.SCENE) is None


def test_a_page_in_its_place_is_a_scene_that_is_gone():
    page = make.scene(Cell(lightness=100, a=0, b=0, texture=0), structure=0.16)
    change = scene_change(make.SCENE, page)
    assert change.kind is ChangeKind.GONE
    assert change.message == ("the scene is gone: nothing but text on a plain page (structure 0.02 of the golden's)")


@pytest.mark.parametrize("scale", range(5))
def test_structure_that_is_lost_at_any_scale_is_a_scene_that_is_gone(scale):
    structure = [8.0] * 5
    structure[scale] = 2.39
    change = scene_change(make.SCENE, make.scene(structure=0.0) and replace(make.SCENE, structure=tuple(structure)))
    assert change.kind is ChangeKind.GONE
    assert change.message == (
        "the scene is gone: structure 0.30 of the golden's is left outside the text where most was lost (limit 0.3)"
    )
    structure[scale] = 2.4
    assert scene_change(make.SCENE, replace(make.SCENE, structure=tuple(structure))) is None


def test_the_scale_that_lost_most_is_told():
    left = replace(make.SCENE, structure=(8.0, 0.8, 2.0, 8.0, 8.0))
    assert "structure 0.10 of the golden's is left" in scene_change(make.SCENE, left).message


def test_more_structure_than_before_is_no_loss():
    assert scene_change(make.SCENE, replace(make.SCENE, structure=(80.0,) * 5)) is None


def test_a_golden_without_structure_cannot_lose_it():
    plain = make.scene(structure=0.499)
    assert scene_change(plain, make.scene(structure=0.0)) is None
    assert scene_change(make.scene(structure=0.5), make.scene(structure=0.0)).kind is ChangeKind.GONE


def test_scales_that_one_of_them_lacks_are_not_compared():
    some = replace(make.SCENE, structure=(8.0, None, 8.0, None, 8.0))
    other = replace(make.SCENE, structure=(8.0, 0.0, None, None, 8.0))
    assert scene_change(some, other) is None
    nothing = replace(make.SCENE, structure=(None,) * 5)
    assert scene_change(make.SCENE, nothing) is None


def grid_of(*cells):
    """A scene whose rows are of these cells, from top to bottom, each row once."""
    return make.scene(*(cell for cell in cells for _ in range(8)))


def halves(upper, lower):
    return grid_of(*[upper] * 4, *[lower] * 4)


GREEN = Cell(lightness=60, a=-50, b=40, texture=4)
YELLOW = Cell(lightness=80, a=0, b=60, texture=4)


def test_other_colours_in_another_order_are_a_scene_that_is_replaced():
    change = scene_change(halves(BLUE, RED), halves(YELLOW, GREEN))
    assert change.kind is ChangeKind.REPLACED
    # the nearest: YELLOW is 66.3 from RED, GREEN 102.0 from BLUE; of 64 cells 32 of the one and 16 of the other count
    assert change.message == (
        "the scene is replaced: colours and textures outside the text are 78.2 from the golden's (limit 5.5), and they "
        "lie otherwise (correlation -0.81, 0.6 is alike)"
    )


def test_the_same_colours_in_another_order_are_another_composition():
    assert scene_change(halves(BLUE, RED), halves(RED, BLUE)) is None


def test_other_colours_in_the_same_order_are_another_light():
    darker = [replace(cell, lightness=cell.lightness - 20) for cell in (BLUE, RED)]
    assert scene_change(halves(BLUE, RED), halves(*darker)) is None


def distance(first, second):
    return float(np.linalg.norm([first.lightness - second.lightness, first.a - second.a, first.b - second.b]))


@pytest.mark.parametrize(("lightness", "replaced"), [(45, False), (46, True), (34, True), (35, False)])
def test_the_limit_on_colours_is_between_five_and_six(lightness, replaced):
    one = Cell(lightness=40, a=0, b=0, texture=4)
    assert (scene_change(make.scene(one), make.scene(replace(one, lightness=lightness))) is not None) == replaced


def test_texture_counts_by_its_square_root():
    # 6 x (sqrt(4) - sqrt(1.1)) = 5.7 and 6 x (sqrt(4) - sqrt(1.2)) = 5.4
    smooth = [replace(BLUE, texture=texture) for texture in (1.1, 1.2)]
    changes = [scene_change(make.scene(BLUE), make.scene(cell)) for cell in smooth]
    assert [change is not None for change in changes] == [True, False]
    assert "are 5.7 from the golden's" in changes[0].message


def test_a_new_thing_in_a_quarter_of_the_image_is_no_new_scene():
    for rows, replaced in ((2, False), (6, True)):
        now = grid_of(*[YELLOW] * rows, *[BLUE] * (8 - rows))
        change = scene_change(make.scene(BLUE), now)
        assert (change is not None) == replaced


def test_the_distance_is_the_mean_of_both_directions():
    # each cell of one is 9.6 from the other's nearest; of the other half none is away
    apart = Cell(lightness=40, a=10, b=-30, texture=4)
    now = halves(apart, BLUE)
    # forth: no cell of the golden is away. Back: the nearest 48 of 64 are 32 of 0 and 16 of 10: 3.33
    assert scene_change(make.scene(BLUE), now) is None
    far = replace(apart, b=0)
    # 16 of 40 in 48: 13.3, and half of it
    assert "are 6.7 from the golden's" in scene_change(make.scene(BLUE), halves(far, BLUE)).message


@pytest.mark.parametrize(("likeness", "replaced"), [(0.61, False), (0.59, True)])
def test_the_same_order_is_a_correlation_above_six_tenths(likeness, replaced):
    # lightness alone: a pattern of 32 bright and 32 dark cells, of which `wrong` are exchanged
    rng = np.random.default_rng(0)
    pattern = np.repeat([1.0, -1.0], 32)
    noise = rng.permutation(np.repeat([1.0, -1.0], 32))
    noise -= pattern * (noise @ pattern) / 64
    noise *= np.sqrt(64 / (noise @ noise))
    mixed = likeness * pattern + np.sqrt(1 - likeness**2) * noise
    before = make.scene(*(Cell(lightness=30 + 10 * v, a=0, b=0, texture=4) for v in pattern))
    now = make.scene(*(Cell(lightness=70 + 10 * v, a=0, b=0, texture=4) for v in mixed))
    change = scene_change(before, now)
    assert (change is not None) == replaced
    if change is not None:
        assert "(correlation 0.59, 0.6 is alike)" in change.message


@pytest.mark.parametrize(("spread", "replaced"), [(0.9, True), (1.2, False)])
def test_an_image_of_one_colour_has_no_layout(spread, replaced):
    # half of the cells are so much lighter than the mean, half so much darker; L is stored in steps of 0.4
    def striped(base, by):
        return halves(*(Cell(lightness=base + sign * by, a=0, b=0, texture=4) for sign in (1, -1)))

    for before, now in (((51, 1.2), (90, spread)), ((51, spread), (90, 1.2))):
        found = scene_change(striped(*before), striped(*now))
        assert (found is not None) == replaced
        assert found is None or "(no correlation: one of one colour" in found.message


def test_pages_of_two_colours_are_two_scenes():
    for value in range(0, 80, 7):
        page = Cell(lightness=value, a=value / 3, b=-value / 7, texture=0)
        other = replace(page, lightness=value + 20)
        assert scene_change(make.scene(page, structure=0.0), make.scene(other, structure=0.0)) is not None


def test_where_few_cells_are_in_both_the_order_is_not_known():
    # the golden's cells are the upper half, the image's the lower half and 7 or 8 of the upper
    before = make.scene(*([BLUE] * 4 + [RED] * 4) * 4, None)
    for shared, change in ((7, True), (8, False)):
        upper = [replace(BLUE, lightness=60)] * 4 + [replace(RED, lightness=70)] * (shared - 4)
        now = make.scene(*upper, *[None] * (32 - shared), replace(BLUE, lightness=60))
        assert (scene_change(before, now) is not None) == change


def test_a_golden_with_too_little_outside_its_text_is_not_compared():
    before = [make.scene(*[BLUE] * known, None) for known in (7, 8)]
    page = make.scene(YELLOW, structure=0.0)
    assert scene_change(before[0], page) is None
    assert scene_change(before[1], page) is not None


def test_text_that_covers_the_scene_is_a_scene_that_is_gone():
    now = make.scene(*[BLUE] * 7, None, text=0.934)
    change = scene_change(make.scene(text=0.12), now)
    assert change.kind is ChangeKind.GONE
    assert change.message == "the scene is gone: text covers 93% of the image, 12% of the golden's"
    assert scene_change(make.scene(BLUE), make.scene(*[BLUE] * 8, None)) is None


def test_what_is_gone_is_not_also_called_replaced():
    now = make.scene(YELLOW, structure=1.0)
    assert scene_change(make.scene(BLUE), now).kind is ChangeKind.GONE


@pytest.mark.parametrize(("structure", "page"), [(0.499, True), (0.5, False)])
def test_an_image_with_little_structure_at_every_scale_is_a_page(structure, page):
    assert is_page(make.scene(structure=structure)) == page
    assert is_page(replace(make.SCENE, structure=(None, 0.1, structure, 0.1, None))) == page
