"""Checks that src/ is the acyclic graph of folders that src/layers.txt says it is.

    check_layers.py [ROOT]
"""

import pathlib
import re
import sys

import tree

ADVICE = """The folder graph is src/layers.txt, explained in docs/architecture.md. Move the code to the
folder it belongs to, or turn the dependency round with an interface in the lower folder; widen a line of
layers.txt only when the architecture itself is meant to change."""

_LIBRARY = re.compile(r"gossamer_library\(\s*(\S+)([^)]*)\)")
_LINK = re.compile(r"target_link_libraries\(\s*gossamer\s([^)]*)\)")
_NAMESPACE = re.compile(r"^(?:inline\s+)?namespace\s+(gossamer[\w:]*)\s*\{", re.MULTILINE)


def read_layers(path):
    """layers.txt as {folder: set of folders it may include}, and what is wrong with its form."""
    layers = {}
    violations = []
    for number, line in enumerate(tree.read(path).splitlines(), 1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        folder, colon, allowed = line.partition(":")
        if not colon or folder in layers:
            violations.append(f"src/layers.txt:{number}: not a new `folder: folders`: {line}")
            continue
        layers[folder] = set(allowed.split())
    for folder, allowed in layers.items():
        for unknown in sorted(allowed - set(layers)):
            violations.append(f"src/layers.txt: {folder} may include {unknown}, which has no line")
    return layers, violations


def find_cycle(layers):
    """A list of folders that lead back to the first, or nothing."""
    done = set()

    def visit(folder, path):
        if folder in path:
            return path[path.index(folder):] + [folder]
        if folder in done:
            return None
        for lower in sorted(layers.get(folder, ())):
            cycle = visit(lower, path + [folder])
            if cycle:
                return cycle
        done.add(folder)
        return None

    for folder in layers:
        cycle = visit(folder, [])
        if cycle:
            return cycle
    return None


def folder_of(name, layers):
    """The listed folder that a path below src/ belongs to: the longest one; or nothing."""
    parent = pathlib.PurePosixPath(name).parent
    while str(parent) != ".":
        if str(parent) in layers:
            return str(parent)
        parent = parent.parent
    return None


def check_includes(root, layers):
    violations = []
    for path in tree.cpp_files(root):
        if path.parts[0] == "src":
            name = pathlib.PurePosixPath(*path.parts[1:])
            folder = folder_of(name, layers)
            if folder is None or (path.suffix != ".h" and str(name.parent) != folder):
                violations.append(f"{path}: src/{name.parent} has no line in src/layers.txt")
                continue
        elif path.parts[0] == "apps":
            folder = "apps"
        else:
            continue
        for included in tree.includes(root / path):
            lower = folder_of(included, layers)
            if lower is None:
                if not included.startswith(("apps/", "hwy/")):
                    violations.append(f'{path}: "{included}": write the path from src/')
            elif lower != folder and lower not in layers[folder]:
                violations.append(f'{path}: {folder} may not include {lower} ("{included}")')
    return violations


def check_namespaces(root, layers):
    violations = []
    for path in tree.cpp_files(root):
        if path.parts[0] == "src":
            folder = folder_of(pathlib.PurePosixPath(*path.parts[1:]), layers)
        elif path.parts[0] == "apps":
            folder = "apps"
        else:
            continue
        if folder is None:
            continue
        expected = "gossamer" if folder == "base" else "gossamer::" + folder.replace("/", "::")
        found = _NAMESPACE.findall(tree.read(root / path))
        if not found:
            violations.append(f"{path}: opens no namespace; expected {expected}")
        violations += [f"{path}: namespace {name}; expected {expected}"
                       for name in found if name != expected and not name.startswith(expected + "::")]
    return violations


def check_links(root, layers):
    """The libraries that CMake links are those that layers.txt allows, and reach all of them."""
    violations = []
    text = tree.read(root / "src" / "CMakeLists.txt")
    folder_of_target = {"gossamer_" + folder.replace("/", "_"): folder for folder in layers}
    direct = {}
    for folder, arguments in _LIBRARY.findall(text):
        direct[folder] = {folder_of_target.get(word, word) for word in arguments.split()
                          if word.startswith("gossamer_")}
    applications = root / "apps" / "gossamer" / "CMakeLists.txt"
    if applications.exists():
        linked = {folder_of_target.get(word, word)
                  for arguments in _LINK.findall(tree.read(applications))
                  for word in arguments.split() if word.startswith("gossamer_")}
        for folder in sorted(linked - layers.get("apps", set()) - {"gossamer_options"}):
            violations.append(f"apps/gossamer/CMakeLists.txt: links {folder}, against layers.txt")

    def closure(folder):
        reached = set(direct.get(folder, ()))
        for lower in list(reached):
            reached |= closure(lower)
        return reached

    for folder, linked in direct.items():
        if folder not in layers:
            violations.append(f"src/CMakeLists.txt: {folder} has no line in src/layers.txt")
            continue
        for lower in sorted(linked - layers[folder]):
            violations.append(f"src/CMakeLists.txt: {folder} links {lower}, against layers.txt")
        for lower in sorted((layers[folder] - closure(folder)) & set(direct)):
            violations.append(f"src/CMakeLists.txt: {folder} may include {lower}, but does not link it")
    for folder in sorted(set(layers) - set(direct) - {"apps"}):
        if (root / "src" / folder).is_dir():
            violations.append(f"src/CMakeLists.txt: {folder} is not built: add gossamer_library({folder} …)")
    return violations


def check_tests(root, layers, exceptions):
    """What other folders include is a folder's interface, and is tested where it is defined.

    For each src/<folder>/foo.cc whose foo.h another folder includes, a test in tests/<folder>, in a folder
    above it, or in tests/end_to_end includes foo.h too. Files that serve their own folder only are tested
    through those.
    """
    tested = set()  # (folder below tests/, header)
    used = set()  # headers that another folder includes
    for path in tree.cpp_files(root):
        name = pathlib.PurePosixPath(*path.parts[1:])
        for header in tree.includes(root / path):
            if path.parts[0] == "tests":
                tested.add((str(name.parent), header))
            elif path.parts[0] == "apps" or folder_of(name, layers) != folder_of(header, layers):
                used.add(header)
    violations = []
    for path in tree.cpp_files(root, (".cc", ".cu")):
        name = pathlib.PurePosixPath(*path.parts[1:])
        header = str(name.with_suffix(".h"))
        if path.parts[0] != "src" or header not in used:
            continue
        folders = [*map(str, name.parents), "end_to_end"]
        has_test = any((folder, header) in tested for folder in folders)
        if has_test and str(name) in exceptions:
            violations.append(f"tests/structure/untested.txt: {name} has a test now: remove its line")
        if not has_test and str(name) not in exceptions:
            violations.append(
                f"{path}: other folders use it, but no test in tests/{name.parent} includes {header}; write "
                f"{name.stem}_test.cc, or say in tests/structure/untested.txt which test covers it")
    for name in sorted(exceptions):
        if not (root / "src" / name).is_file():
            violations.append(f"tests/structure/untested.txt: src/{name} does not exist")
    return violations


def check(root, untested):
    """Every violation, as lines of text."""
    layers, violations = read_layers(root / "src" / "layers.txt")
    cycle = find_cycle(layers)
    if cycle:
        violations.append("src/layers.txt: a cycle: " + " -> ".join(cycle))
    if violations:
        return violations
    return (check_includes(root, layers) + check_namespaces(root, layers) + check_links(root, layers)
            + check_tests(root, layers, untested))


if __name__ == "__main__":
    ROOT = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else tree.ROOT
    tree.finish(check(ROOT, tree.read_exceptions("untested.txt")), ADVICE)
