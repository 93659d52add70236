// Damages the files of the tiny golden checkpoint in every way we could think of, and asks that
// each damage is refused with an error that names the right thing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "tests/checkpoint/damage.h"
#include "tests/checkpoint/scratch_directory.h"

namespace gossamer::checkpoint {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using testing::HasSubstr;

constexpr const char* kNorm = "block.0.attn.norm.scale";  // the first tensor of the file

// NOLINTNEXTLINE(readability-function-size): a table
std::vector<Damage> file_damages() {
  const std::string deep = std::string(100'000, '[');
  return {
      {"no config", "original", [](Files& f) { f.erase(kConfig); }, {"config.json: no such file"}},
      {"no weights", "original", [](Files& f) { f.erase(kModel); }, {"no *.safetensors files"}},
      {"empty weights", "original", replace_file(kModel, ""), {kModel, "0 B long, too short"}},
      {"empty config", "original", replace_file(kConfig, ""), {kConfig, "the file is empty"}},
      {"seven bytes", "original", replace_file(kModel, "1234567"), {kModel, "7 B long, too short"}},
      {"a length and nothing else",
       "original",
       replace_file(kModel, with_header(16, "")),
       {kModel, "a header of 16 bytes, but only 0 bytes follow"}},
      {"header length of 2^63",
       "original",
       replace_file(kModel, with_header(std::uint64_t{1} << 63U, "{}")),
       {kModel, "states a header of 9223372036854775808 bytes"}},
      {"header length of 2^64 - 1",
       "original",
       replace_file(kModel, with_header(~std::uint64_t{0}, "{}")),
       {kModel, "states a header of 18446744073709551615 bytes"}},
      {"header longer than the file",
       "original",
       replace_file(kModel, with_header(3, "{}")),
       {kModel, "a header of 3 bytes, but only 2 bytes follow", "cut short"}},
      {"a Git LFS pointer",
       "original",
       replace_file(kModel, "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
       {kModel, "Git LFS pointer"}},
      {"an HTML error page",
       "original",
       replace_file(kModel, "<!DOCTYPE html><html>Not found</html>"),
       {kModel, "states a header of"}},
      {"last byte missing",
       "original",
       [](Files& f) { f[kModel].pop_back(); },
       {kModel, "block.3.mlp.mlp2_weight.scales", "cut short by at least 1 bytes"}},
      {"last half missing",
       "original",
       [](Files& f) { f[kModel].resize(f[kModel].size() / 2); },
       {kModel, "end outside the file"}},
      {"a byte too many",
       "original",
       [](Files& f) { f[kModel] += 'x'; },
       {kModel, "1 bytes at the end belong to no tensor"}},
      {"header of length 0",
       "original",
       replace_file(kModel, with_header(0, "")),
       {kModel, "not valid JSON"}},
      {"header is not JSON",
       "original",
       [](Files& f) { replace_header_text(f, "{\"a\": }"); },
       {kModel, "header: not valid JSON at byte 7"}},
      {"header is an array",
       "original",
       [](Files& f) { replace_header_text(f, "[1, 2]"); },
       {kModel, "expected a JSON object, found array"}},
      {"header nested 100k deep",
       "original",
       [deep](Files& f) { replace_header_text(f, "{\"a\": " + deep); },
       {kModel, "nested deeper than"}},
      {"header with bad UTF-8",
       "original",
       [](Files& f) { replace_header_text(f, "{\"\xFF\xFE\": 1}"); },
       {kModel, "not valid JSON", "UTF-8"}},
      {"header with a tensor twice",
       "original",
       [](Files& f) {
         std::string text = header_text(f[kModel]);
         replace_once(text, "block.1.attn.norm.scale", kNorm);
         replace_header_text(f, text);
       },
       {kModel, "the key 'block.0.attn.norm.scale' is stated twice"}},
      {"a second file with the same tensors",
       "original",
       [](Files& f) { f["other.safetensors"] = f[kModel]; },
       {"other.safetensors", "model.safetensors too", kNorm}},
  };
}

// NOLINTNEXTLINE(readability-function-size): a table
std::vector<Damage> tensor_damages() {
  return {
      {"entry is a number",
       "original",
       [](Files& f) { edit_header(f, [](ordered_json& h) { h[kNorm] = 3; }); },
       {kModel, kNorm, "expected an object, found 3"}},
      {"no dtype",
       "original",
       [](Files& f) { edit_header(f, [](ordered_json& h) { h[kNorm].erase("dtype"); }); },
       {kModel, kNorm, "'dtype' is missing"}},
      {"unknown dtype",
       "original",
       set_tensor(kNorm, "dtype", "Q4_K"),
       {kModel, kNorm, "unknown dtype 'Q4_K'"}},
      {"no shape",
       "original",
       [](Files& f) { edit_header(f, [](ordered_json& h) { h[kNorm].erase("shape"); }); },
       {kModel, kNorm, "'shape' is missing"}},
      {"shape is a string",
       "original",
       set_tensor(kNorm, "shape", "[192]"),
       {kModel, kNorm, "'shape' is missing or not an array"}},
      {"negative extent",
       "original",
       set_tensor(kNorm, "shape", {-192}),
       {kModel, kNorm, "'shape' holds -192"}},
      {"fractional extent",
       "original",
       set_tensor(kNorm, "shape", {192.5}),
       {kModel, kNorm, "'shape' holds 192.5"}},
      {"extent of 2^64",
       "original",
       set_tensor(kNorm, "shape", {18446744073709551615U}),
       {kModel, kNorm, "'shape' holds 18446744073709551615"}},
      {"extents whose product overflows to the right size",
       "original",
       set_tensor(kNorm, "shape", {std::int64_t{1} << 32, std::int64_t{1} << 32, 192}),
       {kModel, kNorm, "not a possible size"}},
      {"no offsets",
       "original",
       [](Files& f) { edit_header(f, [](ordered_json& h) { h[kNorm].erase("data_offsets"); }); },
       {kModel, kNorm, "'data_offsets' is missing"}},
      {"one offset",
       "original",
       set_tensor(kNorm, "data_offsets", ordered_json::array({0})),
       {kModel, kNorm, "holds 1 numbers, expected 2"}},
      {"offsets backwards",
       "original",
       set_tensor(kNorm, "data_offsets", {384, 0}),
       {kModel, kNorm, "[384, 0] run backwards"}},
      {"negative offset",
       "original",
       set_tensor(kNorm, "data_offsets", {-384, 0}),
       {kModel, kNorm, "'data_offsets' holds -384"}},
      {"offsets shorter than the shape",
       "original",
       set_tensor(kNorm, "data_offsets", {0, 382}),
       {kModel, kNorm, "span 382 bytes, but BF16 [192] takes 384"}},
      {"offsets beyond the file",
       "original",
       set_tensor(kNorm, "data_offsets", {std::int64_t{1} << 62, (std::int64_t{1} << 62) + 384}),
       {kModel, kNorm, "end outside the file"}},
      {"overlapping tensors",
       "original",
       set_tensor("block.0.attn.out.bias", "data_offsets", {0, 384}),
       {kModel, "overlaps", "by 384 bytes"}},
      {"a hole between tensors",
       "original",
       [](Files& f) { edit_header(f, [](ordered_json& h) { h.erase("block.0.attn.out.bias"); }); },
       {kModel, "block.0.attn.out.weight", "384 bytes before it belong to no tensor"}},
      {"wrong dtype of the same size",
       "original",
       set_tensor(kNorm, "dtype", "F16"),
       {kModel, kNorm, "is F16 [192], expected BF16 [192]"}},
      {"wrong shape of the same size",
       "original",
       set_tensor(kNorm, "shape", {2, 96}),
       {kModel, kNorm, "is BF16 [2, 96], expected BF16 [192]"}},
      {"too many extents",
       "original",
       set_tensor(kNorm, "shape", {1, 1, 1, 1, 1, 192}),
       {kModel, kNorm, "is BF16 [1, 1, 1, 1, 1, 192], expected BF16 [192]"}},
      {"transposed matrix",
       "hf",
       set_tensor("model.layers.1.self_attn.q_proj.weight", "shape", {192, 512}),
       {"model.layers.1.self_attn.q_proj.weight", "BF16 [192, 512], expected BF16 [512, 192]"}},
      {"misspelt tensor",
       "original",
       rename_tensor("block.2.attn.sinks", "block.2.attn.sink"),
       {"'block.2.attn.sinks' BF16 [8] is missing", "did you mean 'block.2.attn.sink'"}},
      {"missing lm_head of an untied model",
       "hf",
       rename_tensor("lm_head.weight", "model.output"),
       {"tensor 'lm_head.weight' BF16 [1024, 192] is missing from the Hugging Face checkpoint"}},
      {"tensors of another model",
       "original",
       [](Files& f) {
         edit_header(f, [](ordered_json& header) {
           ordered_json other;
           for (const auto& [name, entry] : header.items()) other["encoder." + name] = entry;
           header = other;
         });
       },
       {"no tensor is named as in a gpt-oss checkpoint", "encoder.block.0.attn.norm.scale"}},
      {"de-quantised experts, Hugging Face",
       "hf",
       [](Files& f) {
         edit_header(f, [](ordered_json& header) {
           header["model.layers.0.mlp.experts.gate_up_proj"] =
               header["model.layers.0.mlp.experts.gate_up_proj_blocks"];
           header.erase("model.layers.0.mlp.experts.gate_up_proj_blocks");
         });
       },
       {kModel,
        "a de-quantised expert weight",
        "expected 'model.layers.0.mlp.experts.gate_up_proj_blocks' U8"}},
      {"de-quantised experts, original",
       "original",
       rename_tensor("block.3.mlp.mlp2_weight.blocks", "block.3.mlp.mlp2_weight"),
       {kModel, "'block.3.mlp.mlp2_weight' is U8", "a de-quantised expert weight"}},
      {"a scale that is not a number",
       "original",
       [](Files& f) { first_byte(f, "block.1.mlp.mlp2_weight.scales") = '\xFF'; },
       {"layer 1: the mlp2 (down_proj) scale of expert 0, row 0, block 0 is 255"}},
      {"more layers in the config than in the files",
       "original",
       set_config("num_hidden_layers", 5),
       {"tensor 'block.4.attn.norm.scale' BF16 [192] is missing", "more are"}},
      {"more experts in the config than in the files",
       "hf",
       set_config("num_local_experts", 16),
       {"model.layers.0.mlp.router.weight", "is BF16 [8, 192], expected BF16 [16, 192]"}},
      {"a shard that the index knows is missing",
       "hf",
       [](Files& f) {
         edit_header(f, [](ordered_json& header) {
           header["unrelated"] = header["lm_head.weight"];
           header.erase("lm_head.weight");
         });
         f["model.safetensors.index.json"] =
             R"({"weight_map": {"lm_head.weight": "model-00002-of-00002.safetensors"}})";
       },
       {"lm_head.weight", "its index lists files that are not there: model-00002-of-00002"}},
  };
}

class CorruptionTest : public testing::TestWithParam<Damage> {};

TEST_P(CorruptionTest, IsRefusedWithAnErrorThatNamesIt) {
  expect_refused(GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    Files,
    CorruptionTest,
    testing::ValuesIn(file_damages()),
    [](const auto& test) { return to_test_name(test.param); }
);
INSTANTIATE_TEST_SUITE_P(
    Tensors,
    CorruptionTest,
    testing::ValuesIn(tensor_damages()),
    [](const auto& test) { return to_test_name(test.param); }
);

/// The error of opening what a test has put into a directory.
std::string error_of(const fs::path& model) {
  const auto checkpoint = Checkpoint::open(model.string());
  return checkpoint.ok() ? "no error" : checkpoint.error().message;
}

TEST(CorruptPlaceTest, AMissingDirectorySaysWhatAModelIs) {
  EXPECT_THAT(error_of("/nonexistent/gpt-oss-20b"), HasSubstr("/nonexistent/gpt-oss-20b: no such"));
  EXPECT_THAT(error_of("/nonexistent/gpt-oss-20b"), HasSubstr("MODEL is a directory with config"));
}

TEST(CorruptPlaceTest, AFileOfAnotherKindIsNotAModel) {
  const ScratchDirectory scratch;
  std::ofstream(scratch.path() / "model.gguf") << "GGUF";
  EXPECT_THAT(error_of(scratch.path() / "model.gguf"), HasSubstr("a file, expected a directory"));
}

TEST(CorruptPlaceTest, AnEmptyDirectoryHasNoWeights) {
  const ScratchDirectory scratch;
  EXPECT_THAT(error_of(scratch.path()), HasSubstr("no *.safetensors files"));
}

TEST(CorruptPlaceTest, ADirectoryNamedLikeWeightsIsRefused) {
  const ScratchDirectory scratch;
  std::ofstream(scratch.path() / kConfig) << "{}";
  fs::create_directory(scratch.path() / kModel);
  EXPECT_THAT(error_of(scratch.path()), HasSubstr("model.safetensors: not a regular file"));
}

TEST(CorruptPlaceTest, APipeIsRefusedWithoutWaitingForItsWriter) {
  const ScratchDirectory scratch;
  ASSERT_EQ(::mkfifo((scratch.path() / kConfig).c_str(), 0600), 0);
  fs::copy(fs::path(GOSSAMER_GOLDEN_DIR) / "tiny/original" / kModel, scratch.path() / kModel);
  EXPECT_THAT(error_of(scratch.path()), HasSubstr("config.json: not a regular file"));
}

TEST(CorruptPlaceTest, ADanglingLinkIsNamed) {
  const ScratchDirectory scratch;
  std::ofstream(scratch.path() / kConfig) << "{}";
  fs::create_symlink("../../blobs/gone", scratch.path() / kModel);
  EXPECT_THAT(error_of(scratch.path()), HasSubstr("model.safetensors: cannot open"));
}

}  // namespace
}  // namespace gossamer::checkpoint
