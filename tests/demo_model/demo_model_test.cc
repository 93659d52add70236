#include "demo_model/demo_model.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tokenizer/tokenizer.h"

namespace gossamer::demo_model {
namespace {

TEST(DemoModelTest, IsAGptOssOfAtMost16Megabytes) {
  const auto checkpoint = open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->layout(), checkpoint::Layout::kHuggingFace);
  EXPECT_TRUE(checkpoint->warnings().empty());
  EXPECT_EQ(checkpoint->config().head_dim, 64);
  EXPECT_EQ(checkpoint->config().sliding_window, 128);
  EXPECT_EQ(checkpoint->config().rope_scaling_factor, 32.0);
  std::uintmax_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(GOSSAMER_SOURCE_DIR "/data/demo")) {
    bytes += file.file_size();
  }
  EXPECT_LE(bytes, 16'000'000U);
}

TEST(DemoModelTest, BringsItsOwnTokenizerWithTheHarmonyMarkers) {
  const auto checkpoint = open();
  ASSERT_TRUE(checkpoint.ok());
  ASSERT_TRUE(checkpoint->tokenizer_json().has_value());
  const auto tokenizer = tokenizer::Tokenizer::from_json(*checkpoint->tokenizer_json(), "demo");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_LE(tokenizer->vocab_size(), static_cast<std::size_t>(checkpoint->config().vocab_size));
  for (const char* marker :
       {"<|start|>",
        "<|message|>",
        "<|channel|>",
        "<|constrain|>",
        "<|end|>",
        "<|call|>",
        "<|return|>"}) {
    EXPECT_TRUE(tokenizer->special(marker).has_value()) << marker;
  }
}

}  // namespace
}  // namespace gossamer::demo_model
