"""Commands under an audit hook, in a process of their own: what they import, open, start and connect to.

Usage: python audited.py ORDER.json, with {"outside": folder, "familiar": [words, ...], "cases": {name: words}}. The
familiar commands say which libraries are needed at all. Then each case is a command whose input came from somebody
else; printed is, as JSON by case, its exit code, what it said, and what it did that no command should.

Libraries in C open files without an audit event, so a watch of the kernel's lies on the folder outside as well.
"""

import ctypes
import json
import os
import struct
import sys
import sysconfig
from contextlib import contextmanager
from pathlib import Path

STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn", "os.startfile", "pty.")
TALKS = (
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "socket.sendto",
    "urllib.",
    "http.",
    "ftplib.",
    "smtplib.",
)
MOVES = (
    "os.rename",
    "os.remove",
    "os.link",
    "os.symlink",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "shutil.",
    "os.chmod",
)
LISTS = ("os.listdir", "os.scandir", "glob.glob", "sqlite3.connect")
PLAIN = {"/dev/null", "/dev/urandom", "/etc/localtime", "/etc/timezone"}
SYSTEM = ("/proc/", "/sys/", "/usr/share/zoneinfo", "/usr/lib", "/lib")
OPENED_OR_CHANGED = 0x00000FFF & ~0x10 & ~0x8  # every event of inotify but closing


class Watch:
    """What is opened or changed in a folder, whoever does it (Linux)."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.number = libc.inotify_init1(os.O_NONBLOCK)
        assert self.number >= 0
        for place in (folder, *(entry for entry in folder.rglob("*") if entry.is_dir())):
            assert libc.inotify_add_watch(self.number, os.fsencode(place), OPENED_OR_CHANGED) >= 0

    def seen(self) -> list[str]:
        """Return the names of entries that something has happened to since the last call."""
        try:
            data = os.read(self.number, 1 << 20)
        except BlockingIOError:
            return []
        names, at = [], 0
        while at < len(data):
            length = struct.unpack_from("iIII", data, at)[3]
            names.append(data[at + 16 : at + 16 + length].rstrip(b"\0").decode() or "the folder itself")
            at += 16 + length
        return names


class Audit:
    """The audit hook: while it is on, what goes beyond some folders and known libraries is kept."""

    def __init__(self, folders: list[Path]) -> None:
        self.folders = [*folders, *self._interpreter()]
        self.on, self.known = False, set[str]()
        self.found: list[str] = []
        sys.addaudithook(self._hear)

    @staticmethod
    def _interpreter() -> list[Path]:
        from cosim import agents, experiments, models, registry

        ours = [Path(module.__file__).parent for module in (agents, experiments, models, registry)]
        paths = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()}
        return [*ours, *(Path(path).resolve() for path in paths)]

    def _hear(self, event: str, args: tuple[object, ...]) -> None:
        if not self.on:
            if event == "import":
                self.known.add(str(args[0]).partition(".")[0])
            return
        if event == "import":
            self._imported(str(args[0]).partition(".")[0])
        elif event.startswith((*STARTS, *TALKS)):
            self.found.append(f"{event} {args!r}"[:300])
        elif event == "open" or event.startswith((*MOVES, *LISTS)):
            for path in args[:1] if event in {"open", *LISTS} else args[:2]:
                self._reached(event, path)

    def _imported(self, name: str) -> None:
        installed = name in self.known or name in sys.stdlib_module_names or name in sys.builtin_module_names
        if not installed or name in {"antigravity", "this", "webbrowser", "pdb", "code", "idlelib", "turtle"}:
            self.found.append(f"import {name}")

    def _reached(self, event: str, path: object) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        text = os.fsdecode(path).removeprefix("file:").partition("?")[0]
        if text in PLAIN or text.startswith((":memory:", *SYSTEM)):
            return
        # A folder that is listed or made must be allowed, or stand above one that is: both are harmless.
        real = Path(text).resolve()
        if not any(real.is_relative_to(folder) for folder in self.folders):
            self.found.append(f"{event} {real}")

    @contextmanager
    def listening(self):
        """Keep what happens in the block."""
        self.found, self.on = [], True
        try:
            yield self.found
        finally:
            self.on = False


def main(order: Path) -> None:
    """Carry out an order."""
    from typer.testing import CliRunner

    asked = json.loads(order.read_text())
    home = order.parent
    audit = Audit([home / "inside"])

    from cosim.experiments.cli import app

    for words in asked["familiar"]:
        done = CliRunner().invoke(app, words)
        assert done.exit_code in asked["codes"], (words, done.output, done.exception)
    watch, told = Watch(Path(asked["outside"])), {}
    watch.seen()
    for name, words in asked["cases"].items():
        with audit.listening() as found:
            done = CliRunner().invoke(app, words)
        raised = "" if done.exception is None or isinstance(done.exception, SystemExit) else repr(done.exception)
        touched = [f"outside: {entry}" for entry in watch.seen()]
        told[name] = {"code": done.exit_code, "said": done.output + raised, "did": [*found, *touched]}
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
