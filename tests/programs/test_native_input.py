"""Native input of SHIELD-HIT12A as people and editors write it: read, or refused by its name and line."""

import pytest

from jobs.programs import SHIELDHIT12A, built_in
from jobs.programs.plan import Condition, InputError
from jobs.programs.program import EDITOR, FILES
from jobs.programs.shieldhit.native import read
from tests.programs.test_shieldhit_input import BEAM, DETECT, GEO, MAT, files
from tests.support.editor import PROJECT, changed


def test_a_filter_may_ask_for_what_is_not() -> None:
    plan = read(files(detect=DETECT.replace("A == 1", "A != 1 ! none of them")))
    assert plan.filters[0].conditions[1] == Condition("A", "!=", 1)


def test_a_comment_may_begin_with_an_equals_sign() -> None:
    for comment in ("!=total", "!= total", "!=5"):
        text = DETECT.replace("Quantity Dose\n", f"Quantity Dose {comment}\n")
        assert read(files(detect=text)) == read(files())


@pytest.mark.parametrize("comment", ["!A == 7", "! != 5", "!===========", "A == 1 !== 5", "A == 1 !"])
def test_comments_may_hold_operators(comment: str) -> None:
    plan = read(files(detect=DETECT.replace("A == 1", f"A == 1\n    {comment}" if comment[0] == "!" else comment)))
    assert plan.filters[0].conditions == (Condition("Z", "==", 1), Condition("A", "==", 1))


def test_columns_of_ten_characters_may_touch() -> None:
    text = GEO.replace(
        "       0.0       0.0      -1.0       0.0       0.0       8.0",
        " 0.0000000-0.0000000-1.6666667 0.0000000 0.000000010.6666667",
    )
    assert read(files(geo=text)) == read(files())
    radius = GEO.replace("                 5.0", "          5.50000000")
    assert read(files(geo=radius)) == read(files())


@pytest.mark.parametrize("x", [-1 / 3, -2 / 3])
def test_the_number_of_a_body_may_touch_its_first_column(x: float) -> None:
    project = changed({f"figureManager.figures[{n}].geometryData.position": [x, 0, 3] for n in (0, 1)}, PROJECT)
    native, _ = built_in().accept(EDITOR, project)
    assert f"  RCC    1{x:.7f}" in native["geo.dat"]
    assert read(native).geometry.water.x == pytest.approx(x, abs=1e-7)
    numbered = GEO.replace("  RCC    1       0.0", "  RCC 1000-0.3333333").replace("1\n  002", "1000\n  002")
    numbered = numbered.replace("+2     -1", "+2  -1000")
    assert read(files(geo=numbered)).geometry.water.x == -0.3333333


def test_numbers_between_blanks_need_no_columns() -> None:
    text = GEO.replace(
        "  RCC    1       0.0       0.0       0.0       0.0       0.0       6.0\n                 4.0",
        "  RCC    1 0.0 0. 0 0.00 0.0000000 6.0 4.0",
    )
    assert read(files(geo=text)) == read(files())


@pytest.mark.parametrize("comment", ["* phantom of water", "# phantom", "   ! phantom", "\n\n*\n"])
def test_a_comment_before_the_title_is_no_title(comment: str) -> None:
    assert read(files(geo=f"{comment}\n{GEO}")).geometry == read(files()).geometry


@pytest.mark.parametrize("ends", ["\r", "\r\n"])
def test_lines_may_end_in_any_way_and_texts_begin_with_a_mark(ends: str) -> None:
    given = {name: f"\ufeff{text}".replace("\n", ends) for name, text in files().items()}
    assert read(given) == read(files())
    assert SHIELDHIT12A.accept(FILES, given) == (files(), 500)


def test_a_line_is_named_whatever_ends_it() -> None:
    with pytest.raises(InputError, match=r"^beam\.dat:3: TMAX0"):
        read(files(beam=BEAM.replace("60.0 0.6", "x").replace("\n", "\r")))


@pytest.mark.parametrize("name", ["dose(1).bdo", "dawka_ą.bdo", "a#1.bdo", "100%.bdo", "線量.bdo"])
def test_names_of_files_may_have_any_letters(name: str) -> None:
    assert read(files(detect=DETECT.replace("depth.bdo", name))).outputs[0].filename == name


@pytest.mark.parametrize("name", ["Depth(1)", "Tiefe_ä", "D#1"])
def test_names_of_detectors_may_have_any_letters(name: str) -> None:
    text = DETECT.replace("Name Depth", f"Name {name}").replace("Geo Depth", f"Geo {name}")
    assert read(files(detect=text)).detectors[0].name == name


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("Filename depth.bdo", "Filename a b.bdo", 26, "Filename 'a b.bdo'; allowed is one word"),
        ("Filename depth.bdo", "Filename a/b.bdo", 26, "'a/b.bdo'"),
        ("Filename depth.bdo", "Filename .bdo", 26, "'.bdo'"),
        ("Name Depth", "Name The depth", 2, "Name 'The depth' has blanks"),
        ("Name Protons", "Name All protons", 13, "has blanks"),
    ],
)
def test_names_with_blanks_or_places_are_refused(old: str, new: str, line: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(files(detect=DETECT.replace(old, new, 1)))
    assert (caught.value.file, caught.value.line) == ("detect.dat", line)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("file", "more"),
    [
        ("mat", "MEDIUM 2\nICRU 82\nRHO 11.35\nLOADDEDX\nEND\n"),
        ("detect", "Geometry Zone\n    Name Z\n    Zone 1\n    Volume 1.0\n"),
        ("detect", "Geometry All\n    Name A\n"),
        ("detect", "Filter\n    Name Fast\n    E > 5\n"),
        ("detect", "Settings\n    Name S\n    Rescale 2\n"),
    ],
)
def test_what_no_zone_and_no_output_uses_refuses_nothing(file: str, more: str) -> None:
    text = {"mat": MAT, "detect": DETECT}[file]
    assert read(files(**{file: more + text if file == "detect" else text + more})).outputs == read(files()).outputs


@pytest.mark.parametrize("quantity", ["Dose Fast", "Dose S", "Dose Protons S"])
def test_pages_that_can_not_be_given_are_left_out_and_named(quantity: str) -> None:
    more = "Filter\n    Name Fast\n    E > 5\nSettings\n    Name S\n    Rescale 2\n"
    plan = read(files(detect=more + DETECT.replace("Quantity DDD", f"Quantity {quantity}")))
    assert f"page 4 of depth.bdo ('{quantity}') is left out" in plan.unsupported[0]


def test_an_output_that_would_have_no_page_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^detect\.dat:40: plane\.bdo would have no page: supported are Dose"
    ) as caught:
        read(
            files(
                detect=DETECT.replace(
                    "    Quantity Dose\n    Quantity Fluence Protons\n    Diff1 0 60 60\n    Diff1Type E\n",
                    "    Quantity DoseGy\n",
                )
            )
        )
    assert caught.value.line == 40
