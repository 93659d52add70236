"""Running a tool on many files in parallel, remembering which inputs it accepted.

A check of a file is skipped when the tool, its flags, and the text of the file and of every project file
that it includes are those of a run that passed. System headers are taken to be fixed.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys

import tree


def version_of(program):
    return subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout


class CompileCommands:
    """compile_commands.json of a build folder."""

    def __init__(self, build_folder):
        path = build_folder / "compile_commands.json"
        if not path.exists():
            sys.exit(f"{path} does not exist; configure with a preset of CMakePresets.json")
        self._flags = {}
        self.compilers = {}
        for entry in json.loads(tree.read(path)):
            file = (pathlib.Path(entry["directory"]) / entry["file"]).resolve()
            words = shlex.split(entry["command"])
            # A launcher such as ccache may come first.
            start = next(i for i, word in enumerate(words) if word.startswith("-")) - 1
            self._flags[file] = self._kept(words[start + 1:], file)
            self.compilers[file] = words[start]

    @staticmethod
    def _kept(words, file):
        """The flags that say how to read the source: not what to do with it, nor what to warn about."""
        kept = []
        skip = False
        for word in words:
            if skip:
                skip = False
            elif word in ("-o", "-MF", "-MT", "-MQ"):
                skip = True
            elif word in ("-c", "-MD", "-MMD") or word.startswith("-W") or word == str(file):
                continue
            else:
                kept.append(word)
        return kept

    def files(self):
        return list(self._flags)

    def flags(self, file):
        return self._flags[file]

    def flags_for_header(self, header):
        """The flags of a source file in the same folder, or else of the source nearest to it."""
        def distance(file):
            return len(pathlib.Path(os.path.relpath(file.parent, header.parent)).parts)
        sources = [file for file in self._flags if file.suffix == ".cc"]
        nearest = min(sources, key=lambda file: (distance(file), str(file)))
        return self._flags[nearest]


class PassCache:
    """Hashes of the inputs that passed, in a file of the build folder."""

    def __init__(self, path):
        self._path = path
        self._passed = set(json.loads(tree.read(path))) if path.exists() else set()
        self._used = set()

    def contains(self, key):
        if key in self._passed:
            self._used.add(key)
        return key in self._passed

    def add(self, key):
        self._used.add(key)

    def save(self):
        """Keeps what this run passed or met again; everything else is out of date."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(sorted(self._used)), encoding="utf-8")
        temporary.replace(self._path)


def input_key(file, *context):
    """A hash of a file, the project files it includes, and whatever else decides the outcome."""
    digest = hashlib.sha256("\0".join(context).encode())
    for path in tree.include_closure(file):
        digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def run_checks(commands, cache):
    """Runs {name: (key, command, standard input)}; returns the outputs of those that failed."""
    pending = {name: check for name, check in commands.items() if not cache.contains(check[0])}

    def run(check):
        return subprocess.run(check[1], input=check[2], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, cwd=tree.ROOT, text=True, check=False)

    failures = []
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        outcomes = {pool.submit(run, check): name for name, check in pending.items()}
        for future in concurrent.futures.as_completed(outcomes):
            name = outcomes[future]
            if future.result().returncode == 0:
                cache.add(pending[name][0])
                cache.save()  # an interrupted run is not lost
            else:
                failures.append(f"== {name}\n{future.result().stdout.strip()}")
    cache.save()
    print(f"{len(pending)} checked, {len(commands) - len(pending)} unchanged since they passed")
    return failures
