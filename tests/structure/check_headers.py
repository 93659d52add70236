"""Checks that every header compiles on its own, and twice in a row.

    check_headers.py BUILD_FOLDER
"""

import pathlib
import sys

import compiling
import tree

ADVICE = "A header includes what it uses, and starts with #pragma once."


def main():
    build_folder = pathlib.Path(sys.argv[1]).resolve()
    commands = compiling.CompileCommands(build_folder)
    compiler = next(commands.compilers[file] for file in commands.files() if file.suffix == ".cc")
    version = compiling.version_of(compiler)
    checks = {}
    for header in tree.cpp_files(suffixes=(".h",)):
        path = tree.ROOT / header
        command = [compiler, *commands.flags_for_header(path), "-fsyntax-only", "-Wall", "-Wextra",
                   "-Wno-missing-field-initializers", "-Werror", "-x", "c++", "-"]
        source = f'#include "{path}"\n#include "{path}"\n'
        key = compiling.input_key(path, version, *command)
        checks[str(header)] = (key, command, source)
    cache = compiling.PassCache(build_folder / "structure" / "headers.json")
    tree.finish(compiling.run_checks(checks, cache), ADVICE)


if __name__ == "__main__":
    main()
