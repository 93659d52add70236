#include "checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "checkpoint/weight_schema.h"
#include "tests/checkpoint/scratch_directory.h"

namespace gossamer::checkpoint {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

fs::path golden(const char* name) {
  return fs::path(GOSSAMER_GOLDEN_DIR) / name;
}

Checkpoint open_golden(const char* name) {
  auto checkpoint = Checkpoint::open(golden(name).string());
  if (!checkpoint.ok()) throw std::runtime_error(checkpoint.error().message);
  return std::move(*checkpoint);
}

bool same_bytes(const tensor::View& a, const tensor::View& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

class GoldenCheckpointTest : public testing::TestWithParam<const char*> {};

TEST_P(GoldenCheckpointTest, BothLayoutsGiveTheSameConfigAndWeights) {
  const std::string name = GetParam();
  const auto original = Checkpoint::open(golden((name + "/original").c_str()).string());
  const auto hugging_face = Checkpoint::open(golden((name + "/hf").c_str()).string());
  ASSERT_TRUE(original.ok()) << original.error().message;
  ASSERT_TRUE(hugging_face.ok()) << hugging_face.error().message;
  EXPECT_EQ(original->layout(), Layout::kOriginal);
  EXPECT_EQ(hugging_face->layout(), Layout::kHuggingFace);
  EXPECT_THAT(original->warnings(), IsEmpty());
  EXPECT_THAT(hugging_face->warnings(), IsEmpty());

  model::Config config = hugging_face->config();
  EXPECT_THAT(config.eos_token_ids, ElementsAre(2));
  config.eos_token_ids.clear();  // the original layout has no word for them
  EXPECT_EQ(config, original->config());

  model::Weights a = original->weights();
  model::Weights b = hugging_face->weights();
  for (const WeightSpec& spec : weight_schema(config)) {
    const tensor::View& view = slot(a, spec.part, spec.layer);
    EXPECT_EQ(view.shape(), spec.shape);
    EXPECT_TRUE(same_bytes(view, slot(b, spec.part, spec.layer)))
        << "part " << static_cast<int>(spec.part) << " of layer " << spec.layer;
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, GoldenCheckpointTest, testing::Values("tiny", "small"));

TEST(CheckpointTest, ReadsATrainedCheckpointWithItsTokenizer) {
  const Checkpoint checkpoint = open_golden("pilot");
  EXPECT_EQ(checkpoint.config().vocab_size, 4160);
  EXPECT_THAT(checkpoint.config().eos_token_ids, ElementsAre(4098));
  EXPECT_EQ(checkpoint.weights().layers.size(), 6U);
  ASSERT_TRUE(checkpoint.tokenizer_json().has_value());
  EXPECT_THAT(*checkpoint.tokenizer_json(), HasSubstr("<|start|>"));
}

TEST(CheckpointTest, FindsTheWeightsInAnOriginalFolderAndTheTokenizerBesideIt) {
  const ScratchDirectory scratch;
  fs::create_directories(scratch.path() / "original");
  fs::copy(golden("tiny/original"), scratch.path() / "original");
  std::ofstream(scratch.path() / "tokenizer.json") << "{}";
  for (const fs::path& model : {scratch.path(), scratch.path() / "original"}) {
    const auto checkpoint = Checkpoint::open(model.string());
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    EXPECT_EQ(checkpoint->layout(), Layout::kOriginal);
    EXPECT_EQ(checkpoint->tokenizer_json(), "{}");
  }
}

TEST(CheckpointTest, TakesAFileOfTheCheckpointForItsDirectory) {
  const auto checkpoint = Checkpoint::open(golden("tiny/hf/model.safetensors").string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_THAT(checkpoint->files(), ElementsAre(golden("tiny/hf/model.safetensors")));
}

/// The tiny golden in Hugging Face's layout, in memory, where tests can rearrange it.
class MemoryCheckpointTest : public testing::Test {
 protected:
  void SetUp() override {
    config_ = read_file(golden("tiny/hf/config.json"));
    const std::string file = read_file(golden("tiny/hf/model.safetensors"));
    const auto tensors = parse_safetensors(std::as_bytes(std::span(file)), "golden");
    ASSERT_TRUE(tensors.ok()) << tensors.error().message;
    for (const StoredTensor& tensor : *tensors) {
      headings_.push_back({tensor.name, tensor.dtype, tensor.shape});
      const auto* data = reinterpret_cast<const char*>(tensor.data.data());  // NOLINT
      contents_.emplace_back(data, tensor.data.size());
    }
  }

  static std::string read_file(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }

  /// The tensors [begin, end) as a file.
  std::string file_of(std::size_t begin, std::size_t end) const {
    std::string file = safetensors_header({headings_.begin() + begin, headings_.begin() + end});
    for (std::size_t i = begin; i < end; ++i) file += contents_[i];
    return file;
  }

  std::size_t index_of(const std::string& name) const {
    for (std::size_t i = 0; i < headings_.size(); ++i) {
      if (headings_[i].name == name) return i;
    }
    throw std::runtime_error(name);
  }

  void erase(const std::string& name) {
    const auto index = static_cast<std::ptrdiff_t>(index_of(name));
    headings_.erase(headings_.begin() + index);
    contents_.erase(contents_.begin() + index);
  }

  /// Opens these files, which must outlive the result.
  Result<Checkpoint> open(const std::vector<std::string>& files) const {
    std::vector<MemoryFile> in_memory;
    for (const std::string& file : files) {
      in_memory.push_back(
          {fmt::format("{}.safetensors", in_memory.size()), std::as_bytes(std::span(file))}
      );
    }
    return Checkpoint::from_memory(config_, in_memory, "{}");
  }

  std::string config_;
  std::vector<TensorHeading> headings_;
  std::vector<std::string> contents_;
};

TEST_F(MemoryCheckpointTest, OpensWithoutACopy) {
  const std::vector<std::string> files = {file_of(0, headings_.size())};
  const auto checkpoint = open(files);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->tokenizer_json(), "{}");
  EXPECT_THAT(checkpoint->files(), IsEmpty());
  EXPECT_EQ(checkpoint->tensors().size(), headings_.size());
  const auto* embedding = reinterpret_cast<const char*>(  // NOLINT
      checkpoint->weights().embedding.data()
  );
  EXPECT_GE(embedding, files[0].data());
  EXPECT_LT(embedding, files[0].data() + files[0].size());
}

TEST_F(MemoryCheckpointTest, ATensorAtAnOddAddressIsCopiedToAnEvenOne) {
  // A byte of padding in the header moves all data to odd addresses.
  std::string file = file_of(0, headings_.size());
  ++file[0];
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof(length));
  file.insert(8 + length - 1, " ");
  const auto odd = open({file});
  const std::vector<std::string> files = {file_of(0, headings_.size())};
  const auto even = open(files);
  ASSERT_TRUE(odd.ok()) << odd.error().message;
  ASSERT_TRUE(even.ok()) << even.error().message;
  const tensor::View& norm = odd->weights().layers[3].attn_norm;
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(norm.data()) % 2, 0U);  // NOLINT
  EXPECT_TRUE(same_bytes(norm, even->weights().layers[3].attn_norm));
}

TEST_F(MemoryCheckpointTest, ManyFilesAreOneCheckpoint) {
  const std::size_t third = headings_.size() / 3;
  const std::vector<std::string> files = {
      file_of(0, third), file_of(third, 2 * third), file_of(2 * third, headings_.size())};
  const auto checkpoint = open(files);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->tensors().size(), headings_.size());
  EXPECT_EQ(checkpoint->tensors().back().file, "2.safetensors");
}

TEST_F(MemoryCheckpointTest, AnUnusedTensorIsAWarningThatNamesIt) {
  headings_.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {1}});
  contents_.emplace_back("1234");
  const std::vector<std::string> files = {file_of(0, headings_.size())};
  const auto checkpoint = open(files);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_THAT(
      checkpoint->warnings(),
      ElementsAre("1 tensor is not used: model.layers.0.self_attn.rotary_emb.inv_freq")
  );
}

TEST_F(MemoryCheckpointTest, TiedEmbeddingsNeedNoUnembedding) {
  const std::string untied = "\"tie_word_embeddings\": false";
  config_.replace(config_.find(untied), untied.size(), "\"tie_word_embeddings\": true");
  erase("lm_head.weight");
  const std::vector<std::string> files = {file_of(0, headings_.size())};
  const auto checkpoint = open(files);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->weights().unembedding.data(), checkpoint->weights().embedding.data());
}

TEST_F(MemoryCheckpointTest, AMissingTensorNamesTheOneThatLooksLikeIt) {
  headings_[index_of("model.layers.2.self_attn.sinks")].name = "model.layers.2.self_attn.sink";
  const auto checkpoint = open({file_of(0, headings_.size())});
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_THAT(checkpoint.error().message, HasSubstr("'model.layers.2.self_attn.sinks' BF16 [8]"));
  EXPECT_THAT(
      checkpoint.error().message,
      HasSubstr("did you mean 'model.layers.2.self_attn.sink' in 0.safetensors?")
  );
}

TEST_F(MemoryCheckpointTest, ABadScaleIsNamedByExpertRowAndBlock) {
  // down_proj_scales is [8, 192, 5].
  std::string& scales = contents_[index_of("model.layers.3.mlp.experts.down_proj_scales")];
  scales[(6 * 192 + 17) * 5 + 4] = '\xFF';
  const auto checkpoint = open({file_of(0, headings_.size())});
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_THAT(
      checkpoint.error().message,
      HasSubstr("layer 3: the mlp2 (down_proj) scale of expert 6, row 17, block 4 is 255")
  );
}

}  // namespace
}  // namespace gossamer::checkpoint
