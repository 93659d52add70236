#include "checkpoint/checkpoint_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "checkpoint/checkpoint.h"
#include "checkpoint/weight_schema.h"
#include "tests/checkpoint/scratch_directory.h"

namespace gossamer::checkpoint {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kSmall =
    "layers=3,experts=4,hidden=96,intermediate=64,heads=4,kv_heads=2,head_dim=32,vocab=512,seed=5";

SyntheticSpec small_spec() {
  auto spec = parse_synthetic_spec(kSmall);
  if (!spec.ok()) throw std::runtime_error(spec.error().message);
  return std::move(*spec);
}

Status write(const SyntheticSpec& spec, const fs::path& directory, const WriteOptions& options) {
  ThreadPool pool(2);
  return write_synthetic(spec, directory, options, pool);
}

WriteOptions overwriting() {
  WriteOptions options;
  options.overwrite = true;
  return options;
}

std::vector<std::string> names_of(const model::Config& config, Layout layout) {
  std::vector<std::string> names;
  for (const FilePlan& file : plan_files(config, layout)) names.push_back(file.name);
  return names;
}

std::vector<std::string> entries_of(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

TEST(PlanFilesTest, TheReleasedModelsAreInAsManyFilesAsReleased) {
  EXPECT_THAT(names_of(config_20b(), Layout::kOriginal), ElementsAre("model.safetensors"));
  const auto original = names_of(config_120b(), Layout::kOriginal);
  EXPECT_THAT(original, SizeIs(7));
  EXPECT_EQ(original.front(), "model--00001-of-00007.safetensors");
  EXPECT_EQ(original.back(), "model--00007-of-00007.safetensors");
  EXPECT_THAT(
      names_of(config_20b(), Layout::kHuggingFace),
      ElementsAre(
          "model-00000-of-00002.safetensors",
          "model-00001-of-00002.safetensors",
          "model-00002-of-00002.safetensors"
      )
  );
  const auto hugging_face = names_of(config_120b(), Layout::kHuggingFace);
  EXPECT_THAT(hugging_face, SizeIs(15));
  EXPECT_EQ(hugging_face.back(), "model-00014-of-00014.safetensors");
}

TEST(PlanFilesTest, EveryTensorIsInOneFileAndFilesAreOfAKind) {
  for (const Layout layout : {Layout::kOriginal, Layout::kHuggingFace}) {
    const auto plan = plan_files(config_120b(), layout);
    std::uint64_t total = 0;
    std::size_t tensors = 0;
    for (const FilePlan& file : plan) {
      std::uint64_t bytes = 0;
      for (const LayoutTensor& tensor : file.tensors) bytes += tensor.size_bytes();
      EXPECT_NEAR(
          static_cast<double>(bytes),
          65.25e9 / static_cast<double>(plan.size()),
          1.1e9  // the largest tensor
      ) << file.name;
      total += bytes;
      tensors += file.tensors.size();
    }
    EXPECT_EQ(total, payload_bytes(config_120b()));
    EXPECT_EQ(tensors, layout_tensors(config_120b(), layout).size());
  }
}

class WriteSyntheticTest : public testing::TestWithParam<Layout> {};

TEST_P(WriteSyntheticTest, TheWeightsOnDiskAreThoseInMemory) {
  const ScratchDirectory scratch;
  WriteOptions options;
  options.layout = GetParam();
  const Status written = write(small_spec(), scratch.path() / "new", options);
  ASSERT_TRUE(written.ok()) << written.error().message;
  const auto on_disk = Checkpoint::open((scratch.path() / "new").string());
  ASSERT_TRUE(on_disk.ok()) << on_disk.error().message;
  const auto in_memory = Checkpoint::open(std::string("synthetic:") + kSmall);
  ASSERT_TRUE(in_memory.ok()) << in_memory.error().message;
  EXPECT_EQ(on_disk->layout(), GetParam());
  EXPECT_EQ(on_disk->config(), in_memory->config());
  EXPECT_THAT(on_disk->warnings(), IsEmpty());
  model::Weights a = on_disk->weights();
  model::Weights b = in_memory->weights();
  for (const WeightSpec& spec : weight_schema(on_disk->config())) {
    const tensor::View& view = slot(a, spec.part, spec.layer);
    ASSERT_EQ(view.shape(), spec.shape);
    EXPECT_EQ(std::memcmp(view.data(), slot(b, spec.part, spec.layer).data(), view.size_bytes()), 0)
        << "part " << static_cast<int>(spec.part) << " of layer " << spec.layer;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, WriteSyntheticTest, testing::Values(Layout::kOriginal, Layout::kHuggingFace)
);

TEST(CheckpointWriterTest, RefusesToOverwriteUnlessTold) {
  const ScratchDirectory scratch;
  std::ofstream(scratch.path() / "config.json") << "precious";
  const Status refused = write(small_spec(), scratch.path(), {});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("config.json: the file exists"));
  EXPECT_THAT(entries_of(scratch.path()), ElementsAre("config.json"));
  EXPECT_TRUE(write(small_spec(), scratch.path(), overwriting()).ok());
  EXPECT_TRUE(Checkpoint::open(scratch.path().string()).ok());
}

TEST(CheckpointWriterTest, RefusesADirectoryWithOtherWeightsEvenWhenTold) {
  const ScratchDirectory scratch;
  std::ofstream(scratch.path() / "adapter.safetensors") << "other";
  const Status refused = write(small_spec(), scratch.path(), overwriting());
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("adapter.safetensors: in the way"));
}

TEST(CheckpointWriterTest, RefusesNumbersThatTheLayoutCannotState) {
  const ScratchDirectory scratch;
  SyntheticSpec spec = small_spec();
  spec.config.rms_norm_eps = 1e-6;
  WriteOptions options;
  options.layout = Layout::kOriginal;
  const Status refused = write(spec, scratch.path(), options);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("rms_norm_eps"));
}

TEST(CheckpointWriterTest, RefusesAModelLargerThanTheDisk) {
  const ScratchDirectory scratch;
  SyntheticSpec spec = small_spec();
  spec.config = config_120b();
  spec.config.num_experts = 65536;
  const Status refused = write(spec, scratch.path(), {});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("needs 3"));
  EXPECT_THAT(refused.error().message, HasSubstr("free"));
  EXPECT_THAT(entries_of(scratch.path()), IsEmpty());
}

TEST(CheckpointWriterTest, ReportsProgressUpToTheWhole) {
  const ScratchDirectory scratch;
  std::uint64_t last = 0;
  WriteOptions options;
  options.on_progress = [&](std::uint64_t done) {
    EXPECT_GT(done, last);
    last = done;
  };
  ASSERT_TRUE(write(small_spec(), scratch.path(), options).ok());
  EXPECT_EQ(last, payload_bytes(small_spec().config));
}

}  // namespace
}  // namespace gossamer::checkpoint
