#include "harmony/encoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "harmony/renderer.h"
#include "harmony/stream_parser.h"
#include "tests/harmony/golden.h"

namespace gossamer::harmony {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A small vocabulary, whose markers have other ids.
std::string small_vocabulary() {
  std::ifstream file(GOSSAMER_GOLDEN_DIR "/pilot/tokenizer.json");
  std::ostringstream json;
  json << file.rdbuf();
  return json.str();
}

Result<Encoding> encoding_of(const std::string& json) {
  GOSSAMER_ASSIGN_OR_RETURN(auto tokenizer, tokenizer::Tokenizer::from_json(json, "small.json"));
  return Encoding::create(std::move(tokenizer));
}

TEST(EncodingTest, TheMarkersOfTheReleasedModels) {
  const Encoding& encoding = o200k_encoding();
  EXPECT_EQ(encoding.id(Marker::kStart), 200'006U);
  EXPECT_EQ(encoding.id(Marker::kReturn), 200'002U);
  EXPECT_EQ(encoding.marker_of(200'005), Marker::kChannel);
  EXPECT_EQ(encoding.marker_of(200'004), std::nullopt);
  EXPECT_EQ(encoding.marker_of(0), std::nullopt);
  EXPECT_TRUE(encoding.is_special(200'004));
  EXPECT_FALSE(encoding.is_special(199'997));
  EXPECT_THAT(encoding.turn_end_tokens(), ElementsAre(200'002, 200'012, 199'999));
}

TEST(EncodingTest, AModelWithAVocabularyOfItsOwnIsRenderedAndParsed) {
  const auto encoding = encoding_of(small_vocabulary());
  ASSERT_TRUE(encoding.ok()) << encoding.error().message;
  EXPECT_NE(encoding->id(Marker::kStart), 200'006U);
  Message message = Message::of_text(Role::kAssistant, "Hello, größe!");
  message.channel = "final";
  const Renderer renderer(*encoding);
  const auto fragments = renderer.message(message, FunctionTools::kNone);
  ASSERT_TRUE(fragments.ok());
  const auto stream = parse_stream(*encoding, renderer.tokens(*fragments), {});
  EXPECT_THAT(stream.messages, ElementsAre(message));
  EXPECT_TRUE(stream.diagnostics.empty());
}

TEST(EncodingTest, AVocabularyWithoutMarkersIsRefused) {
  std::string json = small_vocabulary();
  const std::string marker = "<|channel|>";
  json.replace(json.find(marker), marker.size(), "<|chapter|>");
  const auto encoding = encoding_of(json);
  ASSERT_FALSE(encoding.ok());
  EXPECT_THAT(
      encoding.error().message,
      HasSubstr("small.json: the vocabulary has no special token <|channel|>")
  );
}

}  // namespace
}  // namespace gossamer::harmony
