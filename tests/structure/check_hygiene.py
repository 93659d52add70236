"""Checks rules that hold for every file: sizes, leftovers, paths of one machine, shell scripts.

    check_hygiene.py [ROOT]
"""

import os
import pathlib
import re
import subprocess
import sys

import tree

ADVICE = "CONTRIBUTING.md gives the reasons."

MAX_CODE_LINES = 500
MAX_FILE_BYTES = 4 << 20
# Where data belongs: the vocabulary, the demo model, what tests compare with, and fuzzers' inputs.
DATA_FOLDERS = ("data/", "demo/", "tests/golden/", "tests/fuzz/corpus/")
TEXT_SUFFIXES = {".h", ".cc", ".cu", ".cuh", ".S", ".py", ".md", ".txt", ".cmake", ".json", ".sh", ".html",
                 ".css", ".js", ".mjs", ".ts", ".yml", ".yaml", ""}
CODE_SUFFIXES = {".h", ".cc", ".cu", ".cuh", ".S", ".py", ".cmake", ".js", ".mjs", ".ts", ".css"}

# Written in two parts, so that this file passes its own check.
_LEFTOVER = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")
_DEAD_CODE = re.compile(r"^\s*#\s*if\s+(0|false)\b", re.MULTILINE)
_MACHINE_PATH = re.compile(r"(?<![\w.<}])/(" + "|".join(["ho" + "me", "wo" + "rk", "ro" + "ot", "Us" + "ers"])
                           + r")/\w")


def is_data(path):
    return str(path).startswith(DATA_FOLDERS)


def check_sizes(path, content):
    violations = []
    if len(content) > MAX_FILE_BYTES and not is_data(path):
        violations.append(f"{path}: {len(content) >> 20} MiB; large files belong in {', '.join(DATA_FOLDERS)}")
    lines = content.count(b"\n")
    if path.suffix in tree.CPP_SUFFIXES and lines > MAX_CODE_LINES:
        violations.append(f"{path}: {lines} lines, more than {MAX_CODE_LINES}; split it by what it does")
    return violations


def line_of(text, match):
    return text.count("\n", 0, match.start()) + 1


def check_text(path, content):
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return [f"{path}: not UTF-8"]
    violations = []
    code = path.suffix in CODE_SUFFIXES or path.name == "CMakeLists.txt" or content.startswith(b"#!")
    if code:
        for match in _LEFTOVER.finditer(text):
            violations.append(f"{path}:{line_of(text, match)}: {match[0]}: do it, or say nothing")
        for match in _DEAD_CODE.finditer(text):
            violations.append(f"{path}:{line_of(text, match)}: code that is never compiled; remove it")
    for match in _MACHINE_PATH.finditer(text):
        violations.append(f"{path}:{line_of(text, match)}: a path of one machine: {match[0]}…")
    if "\r\n" in text:
        violations.append(f"{path}: CRLF line ends")
    if text and not text.endswith("\n"):
        violations.append(f"{path}: no newline at its end")
    return violations


def check_lock_file(path, content):
    """npm writes where it downloaded from; the next machine may use another registry."""
    if path.name == "package-lock.json" and b'"resolved"' in content:
        return [f"{path}: names a registry; set omit-lockfile-registry-resolved=true in .npmrc, and make it anew"]
    return []


def check_script(path, file, content):
    first_line = content.split(b"\n", 1)[0].decode(errors="replace")
    violations = []
    if path.suffix == ".sh" and not first_line.startswith("#!"):
        return [f"{path}: a shell script starts with #!/usr/bin/env bash"]
    if not first_line.startswith("#!"):
        return []
    if not os.access(file, os.X_OK):
        violations.append(f"{path}: starts with #! but is not executable; chmod +x it")
    if first_line.endswith(("bash", "/sh", " sh")):
        run = subprocess.run(["bash", "-n", str(file)], stderr=subprocess.PIPE, text=True, check=False)
        violations += [f"{path}: {line}" for line in run.stderr.splitlines()]
        if "set -euo pipefail" not in content.decode(errors="replace"):
            violations.append(f"{path}: no `set -euo pipefail`")
    return violations


def check(root):
    """Every violation, as lines of text."""
    violations = []
    for path in tree.all_files(root):
        content = (root / path).read_bytes()
        violations += check_sizes(path, content)
        if not is_data(path) and path.suffix in TEXT_SUFFIXES and path.name != "package-lock.json":
            violations += check_text(path, content)
        violations += check_lock_file(path, content)
        violations += check_script(path, root / path, content)
    return violations


if __name__ == "__main__":
    ROOT = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else tree.ROOT
    tree.finish(check(ROOT), ADVICE)
