#include "tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/tokenizer_properties.h"
#include "tests/tokenizer/golden.h"

namespace gossamer::tokenizer {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;
using Ids = std::vector<TokenId>;

TEST(O200kHarmony, EncodesTheGoldenTextsAsTheReferenceDoes) {
  const auto goldens = json::parse(read_golden("tokenizer/o200k_harmony.json"));
  ASSERT_GT(goldens.size(), 20U);
  for (const auto& golden : goldens) {
    const std::string text = golden["text"];
    EXPECT_EQ(o200k().encode_ordinary(text), golden["ordinary"].get<Ids>()) << text;
    EXPECT_EQ(o200k().encode_with_specials(text), golden["all_special"].get<Ids>()) << text;
  }
}

TEST(O200kHarmony, EncodesRenderedConversationsAsTheReferenceDoes) {
  const auto goldens = json::parse(read_golden("harmony/harmony_testdata_tokens.json"));
  ASSERT_GT(goldens.size(), 20U);
  for (const auto& [file, tokens] : goldens.items()) {
    std::string text = read_golden("harmony/" + file);
    text.resize(text.find_last_not_of(" \t\r\n") + 1);  // as the goldens were made
    EXPECT_EQ(o200k().encode_with_specials(text), tokens.get<Ids>()) << file;
  }
}

TEST(O200kHarmony, HasTheSpecialTokensOfTheReleasedModels) {
  EXPECT_EQ(o200k().special("<|startoftext|>"), 199998U);
  EXPECT_EQ(o200k().special("<|endoftext|>"), 199999U);
  EXPECT_EQ(o200k().special("<|return|>"), 200002U);
  EXPECT_EQ(o200k().special("<|constrain|>"), 200003U);
  EXPECT_EQ(o200k().special("<|channel|>"), 200005U);
  EXPECT_EQ(o200k().special("<|start|>"), 200006U);
  EXPECT_EQ(o200k().special("<|end|>"), 200007U);
  EXPECT_EQ(o200k().special("<|message|>"), 200008U);
  EXPECT_EQ(o200k().special("<|call|>"), 200012U);
  EXPECT_EQ(o200k().special("<|reserved_201087|>"), 201087U);
  EXPECT_EQ(o200k().special("<|refusal|>"), std::nullopt);
  EXPECT_FALSE(o200k().is_special(199997));
  EXPECT_TRUE(o200k().is_special(199998));
  EXPECT_EQ(o200k().name(), "o200k_harmony");
}

TEST(O200kHarmony, DecodesTheIdPastTheModelsRowsButNeverGivesIt) {
  const TokenId past_end = 201088;
  EXPECT_EQ(o200k().decode(std::array{past_end}), "<|reserved_201088|>");
  EXPECT_TRUE(o200k().is_special(past_end));
  EXPECT_EQ(o200k().vocab_size(), past_end);
  EXPECT_EQ(o200k().special("<|reserved_201088|>"), std::nullopt);
  const Ids tokens = o200k().encode_with_specials("<|reserved_201088|>");
  EXPECT_THAT(tokens, testing::Each(testing::Lt(199998U)));
}

TEST(Encode, NeverMakesSpecialTokensOfOrdinaryText) {
  EXPECT_THAT(o200k().encode_ordinary("<|start|>"), ElementsAre(27, 91, 5236, 91, 29));
}

TEST(Encode, MakesOnlyTheAllowedSpecialTokens) {
  const std::array<std::string_view, 2> allowed = {"<|start|>", "<|no such token|>"};
  EXPECT_THAT(
      o200k().encode("<|start|><|end|>", allowed), ElementsAre(200006, 27, 91, 419, 91, 29)
  );
  EXPECT_EQ(o200k().encode("<|start|>", {}), o200k().encode_ordinary("<|start|>"));
}

TEST(Encode, PrefersTheLongestSpecialTokenAtOnePlace) {
  json document = json::parse(read_golden("../fuzz/corpus/tokenizer_json/pairs"));
  document["added_tokens"][0]["content"] = "<|";
  document["added_tokens"][1]["content"] = "<|x|>";
  const Tokenizer tokenizer = Tokenizer::from_json(document.dump(), "test").value();
  EXPECT_THAT(tokenizer.encode_with_specials("<|x|><|"), ElementsAre(262, 261));
}

TEST(Encode, ReadsInvalidUtf8AsReplacementCharacters) {
  EXPECT_EQ(o200k().encode_ordinary("a\xF0\x9F z"), o200k().encode_ordinary("a\uFFFD z"));
}

TEST(Encode, GivesNothingForNothing) {
  EXPECT_THAT(o200k().encode_ordinary(""), IsEmpty());
  EXPECT_THAT(o200k().encode_with_specials(""), IsEmpty());
}

TEST(Encode, KeepsItsPromisesOnRandomBytes) {
  std::mt19937 random(3);
  for (int round = 0; round < 5000; ++round) {
    std::string text(random() % 300, '\0');
    for (char& c : text) c = static_cast<char>(random() % (random() % 4 == 0 ? 256 : 128));
    check_encoding(o200k(), text);
    check_encoding(small_tokenizer(), text);
  }
}

/// The tokens of a piece by the definition: merge the lowest adjacent pair, leftmost among equals.
Ids slow_merge(const Tokenizer& tokenizer, std::string_view piece) {
  std::vector<std::string> parts;
  for (const char c : piece) parts.emplace_back(1, c);
  const auto rank_of = [&](const std::string& bytes) {
    // The id of bytes that are a token: encoding them gives one token then.
    const Ids ids = tokenizer.encode_ordinary(bytes);
    return ids.size() == 1 ? ids[0] : ~TokenId{0};
  };
  for (;;) {
    std::size_t lowest = 0;
    TokenId lowest_rank = ~TokenId{0};
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const TokenId rank = rank_of(parts[i] + parts[i + 1]);
      if (rank < lowest_rank) {
        lowest_rank = rank;
        lowest = i;
      }
    }
    if (lowest_rank == ~TokenId{0}) break;
    parts[lowest] += parts[lowest + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(lowest) + 1);
  }
  Ids ids;
  for (const std::string& part : parts) ids.push_back(rank_of(part));
  return ids;
}

TEST(Encode, MergesPiecesOfAnyLengthByTheDefinition) {
  std::mt19937 random(5);
  // Letters only, so that each text is one piece; lengths on both sides of the heap's threshold.
  for (const std::size_t length : {2, 3, 9, 40, 63, 64, 65, 66, 100, 200}) {
    for (int round = 0; round < 10; ++round) {
      std::string text(length, ' ');
      for (char& c : text) c = "aeinrst"[random() % 7];
      ASSERT_EQ(o200k().encode_ordinary(text), slow_merge(o200k(), text)) << text;
    }
    const std::string run(length, 'a');
    ASSERT_EQ(o200k().encode_ordinary(run), slow_merge(o200k(), run));
  }
}

TEST(Encode, TakesAboutLinearTimeForAMegabyteThatIsOnePiece) {
  for (const std::string_view part : {"a", "ab", " ", "\n", "!", "你", "\u0301", "😀", "\xFF"}) {
    std::string text;
    while (text.size() < 1'000'000) text += part;
    const auto start = std::chrono::steady_clock::now();
    EXPECT_GT(o200k().encode_ordinary(text).size(), 1000U);
    // Quadratic time would be hours; sanitizers and busy machines are slow.
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20)) << part;
  }
}

TEST(Decode, RoundTripsEveryToken) {
  for (TokenId id = 0; id < o200k().vocab_size(); ++id) {
    const auto bytes = o200k().bytes_of(id);
    ASSERT_TRUE(bytes.has_value()) << id;
    ASSERT_EQ(o200k().decode_bytes(std::array{id}).value(), *bytes);
  }
}

TEST(Decode, RefusesUnknownIdsAsBytesAndSkipsThemAsText) {
  const Ids tokens = {24912, 99999999, 2375};
  EXPECT_EQ(o200k().decode_bytes(tokens).error().message, "Invalid token for decoding: 99999999");
  EXPECT_EQ(o200k().decode(tokens), "hello world");
  EXPECT_EQ(o200k().bytes_of(201089), std::nullopt);
}

TEST(Decode, ReplacesBytesThatAreNotUtf8) {
  EXPECT_EQ(o200k().decode(Ids{132990, 9552}), "Chicken \uFFFD");
  EXPECT_EQ(o200k().decode_bytes(Ids{132990, 9552}).value(), "Chicken \xF0\x9F");
}

}  // namespace
}  // namespace gossamer::tokenizer
