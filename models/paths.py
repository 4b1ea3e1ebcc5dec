"""Files that a scenario names: they lie in its own folder, and are plain files of a sensible size.

A scenario may come from anybody. It must not be able to read what lies elsewhere, nor to wait for ever on a pipe.
"""

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from cosim.models.errors import BadInputError

LARGEST_BYTES: Final = 512 * 2**20


def inside(folder: Path, name: str, *, file: str, key: str) -> Path:
    """Return the path of a file below `folder`; BadInputError, placed at `file` and `key`, for anything else.

    Absolute paths, `..` and symbolic links that leave the folder are refused, and so are folders and devices.
    """
    within = "allowed is the name of a file in the scenario's own folder"
    forms = (PurePosixPath(name), PureWindowsPath(name))
    if not name.isprintable() or any(form.anchor or ".." in form.parts for form in forms):
        raise BadInputError.one(file, key, repr(name), within)
    path = folder / name
    try:
        real, root = path.resolve(), folder.resolve()
    except (OSError, RuntimeError) as error:
        raise BadInputError.one(file, key, repr(name), f"cannot be followed: {type(error).__name__}") from error
    if not real.is_relative_to(root):
        raise BadInputError.one(file, key, repr(name), f"{within}; this is a link that leaves it")
    if not _is_file(real):
        raise BadInputError.one(file, key, repr(name), f"no such file beside {file}")
    return path


def read_text(path: Path, *, file: str, largest_bytes: int = LARGEST_BYTES) -> str:
    """Read a file of UTF-8 text, with or without a byte order mark; BadInputError if it is none or too large."""
    try:
        size = path.stat().st_size
        if size > largest_bytes:
            raise BadInputError.one(file, "size", f"{size} bytes", f"allowed are {largest_bytes}")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadInputError.one(file, "file", None, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        found = f"byte {error.object[error.start]:#04x} at position {error.start}"
        raise BadInputError.one(file, "encoding", found, "allowed is UTF-8 text; save the file as UTF-8") from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the file system is no file
        return False
