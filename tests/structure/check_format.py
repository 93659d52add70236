"""Checks that every C++ and CUDA file is formatted as .clang-format says."""

import shutil
import subprocess
import sys

import tree

ADVICE = "Run scripts/format, which formats all of them in place (clang-format 14, Debian 12's)."


def main():
    if not shutil.which("clang-format"):
        sys.exit("clang-format is not installed; ./test installs it")
    files = [str(path) for path in tree.cpp_files()]
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", "--ferror-limit=1", *files],
                         cwd=tree.ROOT, stderr=subprocess.PIPE, text=True, check=False)
    violations = [line for line in run.stderr.splitlines() if ": error: " in line]
    if run.returncode != 0 and not violations:
        violations = [run.stderr]
    tree.finish(violations, ADVICE)


if __name__ == "__main__":
    main()
