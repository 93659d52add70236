"""The files of the source tree, and how they include each other."""

import functools
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Folders whose C++ is the project's own.
CODE_FOLDERS = ("src", "apps", "tests", "bench")
CPP_SUFFIXES = (".h", ".cc", ".cu", ".cuh")

_IGNORED_FOLDERS = {".git", ".cache", "build", "node_modules", "__pycache__", "out"}
_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def all_files(root=ROOT):
    """Paths relative to root of the files that are, or could be, in git; sorted."""
    # A checkout that belongs to someone else (a container's mount) is still worth checking.
    command = ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z", "--cached",
               "--others", "--exclude-standard"]
    if (root / ".git").exists():
        output = subprocess.run(command, check=True, capture_output=True).stdout.decode()
        paths = {pathlib.Path(name) for name in output.split("\0") if name}
        return sorted(path for path in paths if (root / path).is_file())
    found = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in _IGNORED_FOLDERS]
        found += [(pathlib.Path(folder) / name).relative_to(root) for name in names]
    return sorted(found)


def cpp_files(root=ROOT, suffixes=CPP_SUFFIXES):
    """The project's C++ and CUDA files, relative to root."""
    return [path for path in all_files(root)
            if path.suffix in suffixes and path.parts[0] in CODE_FOLDERS]


def read(path):
    return path.read_text(encoding="utf-8")


@functools.lru_cache(maxsize=None)
def includes(path):
    """The names in the `#include "…"` lines of a file."""
    return tuple(_INCLUDE.findall(read(path)))


@functools.lru_cache(maxsize=None)
def _direct(root, path):
    """The project files that a file includes."""
    found = []
    for name in includes(path):
        # A kernel that Highway compiles once for each instruction set includes itself: not a dependency.
        for folder in (path.parent, root / "src", root):
            if (folder / name).is_file() and (folder / name) != path:
                found.append((folder / name).resolve())
                break
    return tuple(found)


def include_closure(path, root=ROOT):
    """A file and the project files that it includes, directly or not; sorted."""
    seen = {path}
    pending = [path]
    while pending:
        for found in _direct(root, pending.pop()):
            if found not in seen:
                seen.add(found)
                pending.append(found)
    return sorted(seen)


def read_exceptions(name):
    """A list of exceptions: each line a path and the reason it is excepted. As a dict."""
    exceptions = {}
    for line in read(ROOT / "tests" / "structure" / name).splitlines():
        if line.strip() and not line.startswith("#"):
            path, _, reason = line.partition("  ")
            if not reason.strip():
                sys.exit(f"tests/structure/{name}: {path}: give the reason, after two spaces")
            exceptions[path] = reason.strip()
    return exceptions


def finish(violations, advice):
    """Ends the program: quietly when there are no violations, else with them and what to do."""
    if not violations:
        sys.exit(0)
    for violation in violations:
        print(violation)
    print(f"\n{len(violations)} to fix. {advice}")
    sys.exit(1)
