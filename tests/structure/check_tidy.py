"""Runs clang-tidy, as .clang-tidy says, over the .cc files of src/, apps/ and bench/ that the build compiles.

    check_tidy.py BUILD_FOLDER
"""

import json
import pathlib
import shutil
import sys

import compiling
import tree

ADVICE = """Fix the code; where a check is wrong about a line, NOLINT(check-name) it with the reason. To see one
file again: clang-tidy -p BUILD_FOLDER/structure FILE"""

# Not the tests: their macros and literals make it slow, and it finds little in them.
_FOLDERS = ("src/", "apps/", "bench/")

# GCC's flags that clang does not know.
_UNKNOWN_TO_CLANG = ("-fno-gnu-unique", "-fconcepts", "-fanalyzer")


def main():
    if not shutil.which("clang-tidy"):
        sys.exit("clang-tidy is not installed; ./test installs it")
    build_folder = pathlib.Path(sys.argv[1]).resolve()
    commands = compiling.CompileCommands(build_folder)
    excepted = tree.read_exceptions("untidied.txt")
    context = (compiling.version_of("clang-tidy"), tree.read(tree.ROOT / ".clang-tidy"))

    # clang-tidy reads flags from a compile_commands.json: one with clang's flags only.
    folder = build_folder / "structure"
    folder.mkdir(exist_ok=True)
    entries = []
    checks = {}
    for file in sorted(commands.files()):
        name = str(file.relative_to(tree.ROOT)) if file.is_relative_to(tree.ROOT) else ""
        ours = file.suffix == ".cc" and name.startswith(_FOLDERS)
        if not ours or name in excepted:
            continue
        flags = [flag for flag in commands.flags(file) if flag not in _UNKNOWN_TO_CLANG]
        entries.append({"directory": str(build_folder), "file": str(file),
                        "arguments": ["clang++", *flags, "-c", str(file)]})
        command = ["clang-tidy", "--quiet", "-p", str(folder), str(file)]
        checks[name] = (compiling.input_key(file, *context, *flags), command, None)
    (folder / "compile_commands.json").write_text(json.dumps(entries, indent=1), encoding="utf-8")

    missing = [name for name in excepted if not (tree.ROOT / name).exists()]
    violations = [f"tests/structure/untidied.txt: {name} does not exist" for name in missing]
    cache = compiling.PassCache(folder / "tidy.json")
    tree.finish(violations + compiling.run_checks(checks, cache), ADVICE)


if __name__ == "__main__":
    main()
