#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/tokenizer/golden.h"
#include "tokenizer/tokenizer.h"

namespace gossamer::tokenizer {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

/// A valid file: 256 bytes, the merges of "hello" and " w", and a special token.
json valid_document() {
  return json::parse(read_golden("../fuzz/corpus/tokenizer_json/pairs"));
}

Result<Tokenizer> read(const json& document) {
  return Tokenizer::from_json(document.dump(), "test.json");
}

struct Corruption {
  std::string what;  ///< part of the error message
  ErrorCode code;
  std::function<void(json&)> corrupt;
};

void expect_refused(const Corruption& corruption) {
  json document = valid_document();
  corruption.corrupt(document);
  const auto tokenizer = read(document);
  ASSERT_FALSE(tokenizer.ok()) << corruption.what;
  EXPECT_EQ(tokenizer.error().code, corruption.code) << tokenizer.error().message;
  EXPECT_THAT(tokenizer.error().message, HasSubstr("test.json: "));
  EXPECT_THAT(tokenizer.error().message, HasSubstr(corruption.what));
}

TEST(TokenizerJson, TakesIdsAndSpecialsFromTheFile) {
  const Tokenizer& tokenizer = small_tokenizer();
  EXPECT_EQ(tokenizer.vocab_size(), 4105U);
  EXPECT_EQ(tokenizer.special("<|start|>"), 4101U);
  EXPECT_TRUE(tokenizer.is_special(4096));
  EXPECT_FALSE(tokenizer.is_special(4095));
  EXPECT_FALSE(tokenizer.is_special(200006));
  EXPECT_THAT(tokenizer.encode_with_specials("<|end|>"), ElementsAre(4102));
}

TEST(TokenizerJson, CutsDigitsAsTheFilesPatternDoes) {
  EXPECT_THAT(small_tokenizer().encode_ordinary("123"), ElementsAre(16, 17, 18));
}

TEST(TokenizerJson, DecodesTheByteLevelAlphabet) {
  // The file's text tokens are the first ranks of o200k, which come from raw bytes.
  for (TokenId id = 0; id < 4096; ++id) {
    ASSERT_EQ(small_tokenizer().bytes_of(id), o200k().bytes_of(id)) << id;
  }
}

TEST(TokenizerJson, ReadsMergesAsPairsOrStrings) {
  json document = valid_document();
  const auto expected = read(document).value().encode_ordinary("hello world");
  for (json& merge : document["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  EXPECT_EQ(read(document).value().encode_ordinary("hello world"), expected);
  EXPECT_EQ(expected[0], 259U);
}

TEST(TokenizerJson, ReadsDigitGroupsOfAnyLength) {
  json document = valid_document();
  json& regex = document["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"];
  auto pattern = regex.get<std::string>();
  pattern.replace(pattern.find("|\\p{N}|"), 7, "|\\p{N}{1,2}|");
  regex = pattern;
  document["model"]["vocab"]["123"] = 261;  // no piece is as long, so it is never used
  document["model"]["vocab"]["12"] = 262;
  document["model"]["merges"].push_back({"1", "2"});
  document["added_tokens"] = json::array();
  document["model"]["merges"].erase(5);
  EXPECT_FALSE(read(document).ok());
  document["model"]["merges"].push_back({"1", "2"});
  document["model"]["vocab"].erase("123");
  document["model"]["vocab"]["12"] = 261;
  EXPECT_THAT(read(document).value().encode_ordinary("123"), ElementsAre(261, '3' - '\0'));
}

TEST(TokenizerJson, AcceptsAddedTokensThatTheVocabularyListsToo) {
  json document = valid_document();
  document["model"]["vocab"]["<|start|>"] = 261;
  const auto tokenizer = read(document);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_TRUE(tokenizer->is_special(261));
  EXPECT_GT(tokenizer->encode_ordinary("<|start|>").size(), 1U);
}

TEST(TokenizerJson, RefusesMalformedFiles) {
  const auto vocab = [](json& d) -> json& { return d["model"]["vocab"]; };
  const auto kCorrupt = ErrorCode::kCorruptData;
  const std::vector<Corruption> corruptions = {
      {"not a JSON object", kCorrupt, [](json& d) { d = json::array(); }},
      {"\"model\" is missing", kCorrupt, [](json& d) { d.erase("model"); }},
      {"\"model\" is array, not object", kCorrupt, [](json& d) { d["model"] = json::array(); }},
      {"\"vocab\" is missing", kCorrupt, [](json& d) { d["model"].erase("vocab"); }},
      {"\"merges\" is missing", kCorrupt, [](json& d) { d["model"].erase("merges"); }},
      {"\"merges\" is string", kCorrupt, [](json& d) { d["model"]["merges"] = "a b"; }},
      {"is not two tokens", kCorrupt, [](json& d) { d["model"]["merges"][0] = {"a"}; }},
      {"is not two tokens", kCorrupt, [](json& d) { d["model"]["merges"][0] = "ab"; }},
      {"is not two tokens", kCorrupt, [](json& d) { d["model"]["merges"][0] = 7; }},
      {"what is no token",
       kCorrupt,
       [](json& d) {
         d["model"]["merges"][0] = {"z", "z"};
       }},
      {"not in the byte-level alphabet", kCorrupt, [&](json& d) { vocab(d)["a b"] = 263; }},
      {"the id of token", kCorrupt, [&](json& d) { vocab(d)["a"] = "64"; }},
      {"the id of token", kCorrupt, [&](json& d) { vocab(d)["a"] = -1; }},
      {"the id of token", kCorrupt, [&](json& d) { vocab(d)["a"] = 1.5; }},
      {"the id of token", kCorrupt, [&](json& d) { vocab(d)["a"] = 4294967296; }},
      {"two tokens have the id 98", kCorrupt, [&](json& d) { vocab(d)["a"] = 98; }},
      {"no token has the id 97", kCorrupt, [&](json& d) { vocab(d).erase("a"); }},
      {"is empty", kCorrupt, [&](json& d) { vocab(d)[""] = 300; }},
      {"two tokens have the id 97", kCorrupt, [](json& d) { d["added_tokens"][0]["id"] = 97; }},
      {"two tokens have the id 262", kCorrupt, [](json& d) { d["added_tokens"][0]["id"] = 262; }},
      {"two special tokens are",
       kCorrupt,
       [](json& d) { d["added_tokens"][0]["content"] = "<|end|>"; }},
      {"is empty", kCorrupt, [](json& d) { d["added_tokens"][0]["content"] = ""; }},
      {"\"content\" is number", kCorrupt, [](json& d) { d["added_tokens"][0]["content"] = 1; }},
      {"the id of token", kCorrupt, [](json& d) { d["added_tokens"][0].erase("id"); }},
      {"an added token is string", kCorrupt, [](json& d) { d["added_tokens"][0] = "<|start|>"; }},
      {"\"added_tokens\" is object", kCorrupt, [](json& d) { d["added_tokens"] = json::object(); }},
      {"\"pre_tokenizer\" is null", kCorrupt, [](json& d) { d["pre_tokenizer"] = nullptr; }},
      {"no pattern",
       kCorrupt,
       [](json& d) { d["pre_tokenizer"]["pretokenizers"][0]["pattern"] = "x"; }},
  };
  for (const Corruption& corruption : corruptions) expect_refused(corruption);
}

TEST(TokenizerJson, RefusesTokenizersOfAnotherKind) {
  const auto split = [](json& d) -> json& { return d["pre_tokenizer"]["pretokenizers"][0]; };
  const auto byte_level = [](json& d) -> json& { return d["pre_tokenizer"]["pretokenizers"][1]; };
  const auto kOther = ErrorCode::kUnsupported;
  const std::vector<Corruption> corruptions = {
      {"its model is \"Unigram\"", kOther, [](json& d) { d["model"]["type"] = "Unigram"; }},
      {"its model has \"byte_fallback\"",
       kOther,
       [](json& d) { d["model"]["byte_fallback"] = true; }},
      {"its model has \"unk_token\"", kOther, [](json& d) { d["model"]["unk_token"] = "<unk>"; }},
      {"normalizer",
       kOther,
       [](json& d) {
         d["normalizer"] = {{"type", "NFC"}};
       }},
      {"not a Split and a ByteLevel",
       kOther,
       [](json& d) {
         d["pre_tokenizer"] = {{"type", "Whitespace"}};
       }},
      {"not a Split and a ByteLevel", kOther, [&](json& d) { split(d) = 7; }},
      {"adds a space", kOther, [&](json& d) { byte_level(d)["add_prefix_space"] = true; }},
      {"splits again", kOther, [&](json& d) { byte_level(d).erase("use_regex"); }},
      {"keep each match", kOther, [&](json& d) { split(d)["behavior"] = "Removed"; }},
      {"its split pattern is", kOther, [&](json& d) { split(d)["pattern"]["Regex"] = "\\s+"; }},
      {"has \"lstrip\"", kOther, [](json& d) { d["added_tokens"][0]["lstrip"] = true; }},
  };
  for (const Corruption& corruption : corruptions) expect_refused(corruption);
}

TEST(TokenizerJson, RefusesMergesWhoseOrderIsNotThatOfTheIds) {
  const auto kOther = ErrorCode::kUnsupported;
  expect_refused({"token 256 in the order of ids", kOther, [](json& d) {
                    std::swap(d["model"]["merges"][0], d["model"]["merges"][1]);
                  }});
  expect_refused({"makes token 256 after token 260", kOther, [](json& d) {
                    d["model"]["merges"].push_back(d["model"]["merges"][0]);
                  }});
}

TEST(TokenizerJson, RefusesMergesThatLackTheOneThatMakesAToken) {
  expect_refused({"lacks the one that makes token 259", ErrorCode::kUnsupported, [](json& d) {
                    d["model"]["merges"].erase(3);
                  }});
}

TEST(TokenizerJson, RefusesTokensOutOfReachOfMergingUnlessWholePiecesAreTokens) {
  json document = valid_document();
  document["model"]["vocab"]["xyz"] = 263;
  const auto tokenizer = read(document);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_THAT(tokenizer->encode_ordinary("xyz"), ElementsAre(263));
  document["model"]["ignore_merges"] = false;
  EXPECT_THAT(read(document).error().message, HasSubstr("no merges make token 263"));
}

TEST(TokenizerJson, RefusesEveryTruncationOfAFile) {
  const std::string text = valid_document().dump();
  for (std::size_t size = 0; size < text.size(); size += 7) {
    EXPECT_FALSE(Tokenizer::from_json(std::string_view(text).substr(0, size), "cut").ok()) << size;
  }
}

TEST(TokenizerJson, RefusesDeepNestingWithoutExhaustingTheStack) {
  const std::string deep(5'000'000, '[');
  EXPECT_FALSE(Tokenizer::from_json(deep, "deep").ok());
  const std::string closed =
      "{\"model\":" + std::string(1'000'000, '[') + std::string(1'000'000, ']') + "}";
  EXPECT_FALSE(Tokenizer::from_json(closed, "deep").ok());
}

}  // namespace
}  // namespace gossamer::tokenizer
