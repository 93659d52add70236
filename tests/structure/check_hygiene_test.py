"""The hygiene checker accepts a clean tree, and finds each kind of violation in one that is not."""

import pathlib
import tempfile
import unittest

import check_hygiene

CLEAN = {
    "src/base/check.h": "#pragma once\n// A path in an example: /models/gpt-oss-20b\n",
    "scripts/build": "#!/usr/bin/env bash\nset -euo pipefail\ntrue\n",
}


class HygieneTest(unittest.TestCase):

    def check(self, changes, mode=0o755):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            for name, text in {**CLEAN, **changes}.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
                path.chmod(mode)
            return check_hygiene.check(root)

    def assert_finds(self, expected, changes, mode=0o755):
        violations = self.check(changes, mode)
        self.assertEqual(len(violations), 1, violations)
        self.assertIn(expected, violations[0])

    def test_a_clean_tree_passes(self):
        self.assertEqual(self.check({}), [])

    def test_a_long_code_file_is_found(self):
        self.assertEqual(self.check({"src/base/a.cc": "//\n" * 500}), [])
        self.assert_finds("501 lines", {"src/base/a.cc": "//\n" * 501})

    def test_a_large_file_is_found_outside_the_data_folders(self):
        large = b"\0" * (check_hygiene.MAX_FILE_BYTES + 1)
        self.assertEqual(self.check({"data/model.bin": large}), [])
        self.assert_finds("4 MiB", {"src/model.bin": large})

    def test_leftovers_are_found_with_their_line(self):
        self.assert_finds("a.cc:2: TO" + "DO", {"src/base/a.cc": "\n// TO" + "DO: more\n"})
        self.assert_finds("CMakeLists.txt:1: FIX" + "ME", {"src/CMakeLists.txt": "# FIX" + "ME\n"})

    def test_dead_code_is_found(self):
        self.assert_finds("never compiled", {"src/base/a.cc": "#i" + "f 0\n#endif\n"})

    def test_a_path_of_one_machine_is_found(self):
        self.assert_finds("a path of one machine", {"docs/a.md": "see /ho" + "me/me/model\n"})

    def test_windows_line_ends_and_missing_newlines_are_found(self):
        self.assert_finds("CRLF", {"docs/a.md": "a\r\n"})
        self.assert_finds("no newline", {"docs/a.md": "a"})

    def test_a_lock_file_that_names_a_registry_is_found(self):
        self.assert_finds("names a registry", {"tests/package-lock.json": '{"resolved": "https://a.example"}'})

    def test_a_script_that_does_not_parse_is_found(self):
        self.assert_finds("syntax error", {
            "scripts/a": "#!/usr/bin/env bash\nset -euo pipefail\nif true; then\n"})

    def test_a_careless_script_is_found(self):
        self.assert_finds("pipefail", {"scripts/a": "#!/usr/bin/env bash\ntrue\n"})
        self.assert_finds("not executable", {}, mode=0o644)


if __name__ == "__main__":
    unittest.main()
