"""Load the cases and variants of a folder, and report all mistakes at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from qiltest.errors import CaseError
from qiltest.suite.case_checks import Known, check_case
from qiltest.suite.case_schema import CaseTable, case_from
from qiltest.suite.cases import Case, Resolution, TaskKind
from qiltest.suite.problems import CaseFileError, Mistake, check_shape, read_toml, show, suggest
from qiltest.suite.variant_schema import parse_variants
from qiltest.suite.variants import Variant
from qiltest.text import look_alikes
from qiltest.text.escape import one_line

VARIANTS_FILE = "variants.toml"
#: Folder beside the case files where `qiltest calibrate` keeps the readers' noise floors.
FLOORS_FOLDER = "floors"
#: Folder beside the case files for those of the task edit, and in it the folder of their input images.
EDITS_FOLDER, INPUTS_FOLDER = "edit", "inputs"
#: what input images are called.
_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_INIT = "`qiltest init FOLDER` makes a project with one"


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Cases sorted by id, variants in the order of their file."""

    #: of the task text-to-image.
    cases: tuple[Case, ...]
    variants: tuple[Variant, ...]
    #: of the task edit.
    edits: tuple[Case, ...] = ()

    @property
    def every(self) -> tuple[Case, ...]:
        """The cases of all tasks."""
        return (*self.cases, *self.edits)

    def case(self, name: str) -> tuple[Case, Resolution | None]:
        """Return the case named `ID`, or `ID@WxH` with that resolution. Raises CaseError that names what exists."""
        identity, _, size = name.partition("@")
        by_id = {case.id: case for case in self.every}
        if identity not in by_id:
            raise unknown("case", identity, by_id)
        by_size = {str(resolution.size): resolution for resolution in by_id[identity].resolutions}
        if size and size not in by_size:
            raise unknown(f"resolution of case {identity}", size, by_size)
        return by_id[identity], by_size.get(size)

    def variant(self, name: str) -> Variant:
        """Return the variant of that name, whatever its letters' case. Raises CaseError that names what exists."""
        by_name = {variant.name: variant for variant in self.variants}
        group = [variant.name for variant in self.variants if variant.group == name.lower() != ""]
        if group:
            raise CaseError(
                f"{show(name)} is a group of variants, one is needed here", remedy=f"choose among: {', '.join(group)}"
            )
        if name.lower() not in by_name:
            groups = dict.fromkeys(variant.group for variant in self.variants if variant.group)
            raise unknown("variant", name, (*by_name, *groups))
        return by_name[name.lower()]

    def variants_named(self, name: str) -> tuple[Variant, ...]:
        """Return the variants of a group, or the one of that name. Raises CaseError that names what exists."""
        group = tuple(variant for variant in self.variants if variant.group == name.lower() != "")
        return group or (self.variant(name),)


def load_suite(folder: Path, *, keep_doubtful: bool = False) -> Suite:
    """Load `folder/*.toml` and `folder/edit/*.toml` as cases and `folder/variants.toml` as variants.

    Raises CaseError where there is no `variants.toml`, CaseFileError (a CaseError) with all mistakes of all files. With
    `keep_doubtful`, a text that is not in its prompt is kept in `Case.doubts`, and only that case's tests fail.
    """
    if not (folder / VARIANTS_FILE).exists():
        named = one_line(f"{folder}/")
        what = f"no {VARIANTS_FILE} in {named}" if folder.is_dir() else f"no such folder: {named}"
        raise CaseError(what, remedy=_INIT)
    variants, names, mistakes = _read_variants(folder / VARIANTS_FILE)
    # a file with mistakes may lack variants, so languages are not checked then
    languages = None if mistakes else _languages(variants)
    known = Known(variants=names, languages=languages, look_alikes=look_alikes.names())
    cases, found = _read_cases(folder, known, keep_doubtful=keep_doubtful)
    _raise_if([*mistakes, *found], keep_doubtful=keep_doubtful)
    return Suite(cases=_of(TaskKind.TEXT_TO_IMAGE, cases), variants=variants, edits=_of(TaskKind.EDIT, cases))


def load_cases(folder: Path, *, edits: bool = False) -> tuple[Case, ...]:
    """Load the cases alone, with `edits` those of the task edit too. Raises CaseFileError.

    Names of variants and languages are not checked.
    """
    cases, mistakes = _read_cases(folder, Known(variants=None, languages=None, look_alikes=look_alikes.names()))
    _raise_if(mistakes)
    return cases if edits else _of(TaskKind.TEXT_TO_IMAGE, cases)


def _of(task: TaskKind, cases: Iterable[Case]) -> tuple[Case, ...]:
    return tuple(case for case in cases if case.task is task)


def load_variants(file: Path) -> tuple[Variant, ...]:
    """Load `variants.toml` alone. Raises CaseFileError."""
    variants, _, mistakes = _read_variants(file)
    _raise_if(mistakes)
    return variants


def unknown(what: str, name: str, names: Iterable[str]) -> CaseError:
    """Return the error for a name that does not exist: what exists, and the nearest of it."""
    names = list(names)
    return CaseError(
        f"no {what} is called {show(name)}{suggest(name, names)}",
        remedy=f"choose among: {', '.join(names) or 'none, there is no ' + what}",
    )


def _read_variants(file: Path) -> tuple[tuple[Variant, ...], list[str] | None, list[Mistake]]:
    """Return the variants without mistakes, the names of all (None: the file cannot be read), and the mistakes."""
    raw = read_toml(file)
    if isinstance(raw, Mistake):
        return (), None, [raw]
    variants, mistakes = parse_variants(raw, file)
    return variants, list(raw), mistakes


def _read_cases(folder: Path, known: Known, *, keep_doubtful: bool = False) -> tuple[tuple[Case, ...], list[Mistake]]:
    cases: list[Case] = []
    mistakes = list(_strays(folder))
    files = sorted(path for path in folder.glob("*.toml") if path.name != VARIANTS_FILE)
    files += sorted((folder / EDITS_FOLDER).glob("*.toml"))
    first: dict[str, Path] = {}
    for path in files:
        raw = read_toml(path)
        if isinstance(raw, Mistake):
            mistakes.append(raw)
            continue
        shape = check_shape(CaseTable, raw, path)
        found = [*(shape if isinstance(shape, list) else ()), *check_case(raw, path, known)]
        identity = raw.get("id")
        if isinstance(identity, str) and first.setdefault(identity, path) != path:
            seen = f"{show(identity)} is also the id of {first[identity].name}"
            found.append(Mistake(path=path, key="id", seen=seen, allowed="a unique id"))
        if isinstance(shape, CaseTable) and all(keep_doubtful and mistake.doubt for mistake in found):
            cases.append(case_from(shape, path, found))
        mistakes += found
    mistakes += _no_such_inputs(cases)
    if not files:
        seen = "no case found" if folder.is_dir() else "no such folder"
        mistakes.append(Mistake(path=folder, key="", seen=seen, allowed="a folder with one TOML file per case"))
    return tuple(sorted(cases, key=lambda case: case.id)), mistakes


def _no_such_inputs(cases: Iterable[Case]) -> Iterator[Mistake]:
    """Yield inputs that are to be the image of a sample that no text-to-image case has."""
    cases = tuple(cases)
    known = {case.id: case for case in cases if case.task is TaskKind.TEXT_TO_IMAGE}
    for case in cases:
        for index, source in enumerate(() if case.edit is None else case.edit.inputs):
            sample, path = source.sample, Path(case.path)
            if sample is None:
                continue
            if sample.case not in known:
                seen = f"{show(sample.case)} is not a text-to-image case{suggest(sample.case, known)}"
                yield Mistake(path=path, key=f"inputs[{index}].case", seen=seen, allowed=", ".join(sorted(known)))
                continue
            sizes = [resolution.size for resolution in known[sample.case].resolutions]
            if sample.size is not None and sample.size not in sizes:
                seen = f'"{sample.size}" is no resolution of {sample.case}'
                allowed = ", ".join(map(str, sizes))
                yield Mistake(path=path, key=f"inputs[{index}].size", seen=seen, allowed=allowed)


def _strays(folder: Path, *, edits: bool = False) -> Iterator[Mistake]:
    """Yield files in the folder that are not read: a misnamed case would silently never run."""
    for path in sorted(path for path in folder.glob("[!.]*") if not path.name.endswith("~")):
        if path.name == FLOORS_FOLDER and path.is_dir():
            others = (other for other in sorted(path.glob("[!.]*[!~]")) if other.suffix != ".json")
            yield from (_stray(other, "*.json, one per case") for other in others)
        elif path.name == EDITS_FOLDER and path.is_dir() and not edits:
            yield from _strays(path, edits=True)
        elif edits and path.name == INPUTS_FOLDER and path.is_dir():
            continue  # which of them a case needs, and which are missing, its own tests say
        elif not (path.suffix in {".toml", ".md"} and path.is_file()):
            yield _stray(path, _allowed(folder, path, edits=edits))


def _stray(path: Path, allowed: str) -> Mistake:
    names = {FLOORS_FOLDER, EDITS_FOLDER, INPUTS_FOLDER} - {path.name}
    seen = f"a folder that is not read{suggest(path.name, names)}" if path.is_dir() else "a file that is not read"
    return Mistake(path=path, key="", seen=seen, allowed=allowed)


def _allowed(folder: Path, stray: Path, *, edits: bool) -> str:
    """Return what a folder of cases may have, or where an edit's input images belong."""
    cases = one_line(folder.absolute().parent.name if edits else folder.absolute().name)
    inputs = f"{cases}/{EDITS_FOLDER}/{INPUTS_FOLDER}"
    if stray.name == INPUTS_FOLDER and not edits:
        return f"input images in {inputs}/, beside edit cases in {cases}/{EDITS_FOLDER}/"
    if stray.suffix.lower() in _IMAGES and stray.is_file():
        return f"input images in {inputs}/"
    if edits:
        return f"*.toml, *.md and the folders {FLOORS_FOLDER}, {INPUTS_FOLDER} (input images)"
    return f"*.toml, *.md and the folders {FLOORS_FOLDER}, {EDITS_FOLDER} (edit cases)"


def _languages(variants: Iterable[Variant]) -> list[str] | None:
    """Return the languages that all suffixes have; None where no variant appends anything."""
    tables = [set(dict(variant.prompt_suffix)) for variant in variants if variant.prompt_suffix]
    return sorted(set.intersection(*tables)) if tables else None


def _raise_if(mistakes: list[Mistake], *, keep_doubtful: bool = False) -> None:
    """Raise an error with all mistakes, unless all are doubts that are kept."""
    if not all(keep_doubtful and mistake.doubt for mistake in mistakes):
        raise CaseFileError(mistakes)
