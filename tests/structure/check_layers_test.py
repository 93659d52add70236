"""The layer checker accepts a sound tree, and finds each kind of violation in one that is not."""

import pathlib
import tempfile
import unittest

import check_layers

SOUND = {
    "src/layers.txt": "base:\ntensor: base\nmodel: tensor base\napps: model tensor base\n",
    "src/CMakeLists.txt": """
gossamer_library(base DEPS fmt::fmt)
gossamer_library(tensor DEPS gossamer_base)
gossamer_library(model DEPS gossamer_tensor)
""",
    "src/base/check.h": "namespace gossamer {\n}\n",
    "src/tensor/view.h": '#include "base/check.h"\nnamespace gossamer::tensor {\n}\n',
    "src/tensor/view.cc": '#include "tensor/view.h"\nnamespace gossamer::tensor {\n}\n',
    "src/model/layer.h": '#include "tensor/view.h"\nnamespace gossamer::model {\n}\n',
    "apps/gossamer/CMakeLists.txt": "target_link_libraries(gossamer PRIVATE gossamer_model)\n",
    "apps/gossamer/main.cc": '#include "model/layer.h"\nnamespace gossamer::apps {\n}\n',
    "tests/tensor/view_test.cc": '#include "tensor/view.h"\n',
}


class LayersTest(unittest.TestCase):

    def check(self, changes, untested=()):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            for name, text in {**SOUND, **changes}.items():
                if text is not None:
                    (root / name).parent.mkdir(parents=True, exist_ok=True)
                    (root / name).write_text(text, encoding="utf-8")
            return check_layers.check(root, dict.fromkeys(untested, "a reason"))

    def assert_finds(self, expected, changes, untested=()):
        violations = self.check(changes, untested)
        self.assertEqual(len(violations), 1, violations)
        self.assertIn(expected, violations[0])

    def test_a_sound_tree_passes(self):
        self.assertEqual(self.check({}), [])

    def test_an_upward_include_is_found(self):
        self.assert_finds("tensor may not include model", {
            "src/tensor/view.h": '#include "model/layer.h"\nnamespace gossamer::tensor {\n}\n'})

    def test_an_include_of_a_program_is_bound_to_its_line_too(self):
        layers = SOUND["src/layers.txt"].replace("apps: model tensor base", "apps: tensor base")
        self.assertEqual(len(self.check({"src/layers.txt": layers})), 2)  # the include and the link

    def test_a_cycle_is_found(self):
        layers = SOUND["src/layers.txt"].replace("base:\n", "base: model\n")
        self.assert_finds("a cycle: base -> model -> base", {"src/layers.txt": layers})

    def test_an_unknown_folder_in_a_line_is_found(self):
        layers = SOUND["src/layers.txt"].replace("tensor: base", "tensor: base utils")
        self.assert_finds("utils, which has no line", {"src/layers.txt": layers})

    def test_a_folder_without_a_line_is_found(self):
        self.assert_finds("src/extra has no line", {"src/extra/a.h": "namespace gossamer::extra {\n}\n"})

    def test_code_in_a_subfolder_without_a_line_is_found(self):
        self.assert_finds("src/tensor/deep has no line", {
            "src/tensor/deep/a.cc": "namespace gossamer::tensor {\n}\n"}, ["tensor/deep/a.cc"])

    def test_a_folder_that_is_not_built_is_found(self):
        cmake = SOUND["src/CMakeLists.txt"].replace("gossamer_library(model DEPS gossamer_tensor)", "")
        self.assert_finds("model is not built", {"src/CMakeLists.txt": cmake})

    def test_an_include_relative_to_the_file_is_found(self):
        self.assert_finds("write the path from src/", {
            "src/tensor/view.cc": '#include "view.h"\nnamespace gossamer::tensor {\n}\n'})

    def test_a_wrong_namespace_is_found(self):
        self.assert_finds("namespace gossamer::model; expected gossamer::tensor", {
            "src/tensor/view.cc": '#include "tensor/view.h"\nnamespace gossamer::model {\n}\n'})

    def test_a_missing_namespace_is_found(self):
        self.assert_finds("opens no namespace", {"src/base/check.h": "int gossamer();\n"})

    def test_a_link_against_the_graph_is_found(self):
        cmake = SOUND["src/CMakeLists.txt"].replace("tensor DEPS gossamer_base",
                                                    "tensor DEPS gossamer_base gossamer_model")
        layers = SOUND["src/layers.txt"].replace("model: tensor base", "model: base")
        violations = self.check({
            "src/CMakeLists.txt": cmake.replace("(model DEPS gossamer_tensor", "(model DEPS gossamer_base"),
            "src/layers.txt": layers,
            "src/model/layer.h": "namespace gossamer::model {\n}\n"})
        self.assertEqual(violations, ["src/CMakeLists.txt: tensor links model, against layers.txt"])

    def test_a_missing_link_is_found(self):
        cmake = SOUND["src/CMakeLists.txt"].replace("tensor DEPS gossamer_base", "tensor DEPS fmt::fmt")
        cmake = cmake.replace("model DEPS gossamer_tensor", "model DEPS gossamer_tensor gossamer_base")
        self.assert_finds("tensor may include base, but does not link it", {"src/CMakeLists.txt": cmake})

    def test_an_untested_interface_is_found(self):
        self.assert_finds("no test in tests/tensor includes tensor/view.h", {"tests/tensor/view_test.cc": None})

    def test_what_only_its_own_folder_uses_needs_no_test_of_its_own(self):
        self.assertEqual(self.check({
            "src/tensor/inner.h": "namespace gossamer::tensor {\n}\n",
            "src/tensor/inner.cc": '#include "tensor/inner.h"\nnamespace gossamer::tensor {\n}\n'}), [])

    def test_an_untested_file_may_be_excepted(self):
        self.assertEqual(self.check({"tests/tensor/view_test.cc": None}, ["tensor/view.cc"]), [])

    def test_a_stale_exception_is_found(self):
        self.assert_finds("has a test now", {}, ["tensor/view.cc"])
        self.assert_finds("does not exist", {}, ["tensor/gone.cc"])


if __name__ == "__main__":
    unittest.main()
