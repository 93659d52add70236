#include "tokenizer/piece_scanner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/character_class.h"
#include "tokenizer/utf8.h"

namespace gossamer::tokenizer {
namespace {

using testing::ElementsAre;

std::vector<std::string> scan(std::string_view text, int max_digits = 3) {
  std::vector<std::string> pieces;
  PieceScanner scanner(text, max_digits);
  for (auto piece = scanner.next(); !piece.empty(); piece = scanner.next()) {
    pieces.emplace_back(piece);
  }
  return pieces;
}

// A slow matcher for the split pattern, written as the pattern is: each item of a sequence tries
// its longest repetition first and gives back one character at a time.

using Text = std::u32string;
using Set = std::function<bool(char32_t)>;

struct Item {
  Set set;
  std::size_t min;
  std::size_t max;
};

constexpr std::size_t kMany = 1'000'000;

std::optional<std::size_t> match(
    const Text& text, std::size_t at, const std::vector<Item>& items, std::size_t item = 0
) {
  if (item == items.size()) return at;
  std::size_t most = 0;
  while (most < items[item].max && at + most < text.size() && items[item].set(text[at + most])) {
    ++most;
  }
  for (std::size_t count = most + 1; count-- > items[item].min;) {
    const auto end = match(text, at + count, items, item + 1);
    if (end) return end;
  }
  return std::nullopt;
}

Set is(std::initializer_list<CharacterClass> classes) {
  const std::vector<CharacterClass> list = classes;
  return [list](char32_t c) {
    return std::find(list.begin(), list.end(), character_class(c)) != list.end();
  };
}

Set one_of(std::u32string_view characters) {
  return [characters](char32_t c) { return characters.find(c) != std::u32string_view::npos; };
}

std::size_t contraction(const Text& text, std::size_t at) {
  static const std::vector<std::vector<Item>> kContractions = [] {
    const Set quote = one_of(U"'");
    const Set s = one_of(U"sS\u017F");
    const Set e = one_of(U"eE");
    const Set l = one_of(U"lL");
    return std::vector<std::vector<Item>>{
        {{quote, 1, 1}, {s, 1, 1}},
        {{quote, 1, 1}, {one_of(U"tT"), 1, 1}},
        {{quote, 1, 1}, {one_of(U"rR"), 1, 1}, {e, 1, 1}},
        {{quote, 1, 1}, {one_of(U"vV"), 1, 1}, {e, 1, 1}},
        {{quote, 1, 1}, {one_of(U"mM"), 1, 1}},
        {{quote, 1, 1}, {l, 1, 1}, {l, 1, 1}},
        {{quote, 1, 1}, {one_of(U"dD"), 1, 1}},
    };
  }();
  for (const auto& items : kContractions) {
    if (const auto end = match(text, at, items)) return *end;
  }
  return at;
}

std::size_t slow_piece_end(const Text& text, std::size_t at, int max_digits) {
  using enum CharacterClass;
  static const Set kUpperPart = is({kUpper, kCaseless, kMark});
  static const Set kLowerPart = is({kLower, kCaseless, kMark});
  static const Set kLead = is({kOther, kSpace, kMark});
  static const Set kWhite = is({kSpace, kNewline});
  static const Set kLines = one_of(U"\r\n");
  const auto digits = static_cast<std::size_t>(max_digits);
  if (const auto end =
          match(text, at, {{kLead, 0, 1}, {kUpperPart, 0, kMany}, {kLowerPart, 1, kMany}})) {
    return contraction(text, *end);
  }
  if (const auto end =
          match(text, at, {{kLead, 0, 1}, {kUpperPart, 1, kMany}, {kLowerPart, 0, kMany}})) {
    return contraction(text, *end);
  }
  if (const auto end = match(text, at, {{is({kNumber}), 1, digits}})) return *end;
  const Set punctuation = is({kOther, kMark});
  if (const auto end = match(
          text, at, {{one_of(U" "), 0, 1}, {punctuation, 1, kMany}, {one_of(U"\r\n/"), 0, kMany}}
      )) {
    return *end;
  }
  if (const auto end = match(text, at, {{kWhite, 0, kMany}, {kLines, 1, kMany}})) return *end;
  std::size_t end = *match(text, at, {{kWhite, 1, kMany}});
  if (end != text.size() && end - at > 1) --end;  // \s+(?!\S) gives one back; \s+ takes the rest
  return end;
}

std::string to_utf8(const Text& text) {
  std::string utf8;
  const auto tail = [&](char32_t c, int shift) {
    utf8 += static_cast<char>(0x80 | (c >> shift & 0x3F));
  };
  for (const char32_t c : text) {
    if (c < 0x80) {
      utf8 += static_cast<char>(c);
    } else if (c < 0x800) {
      utf8 += static_cast<char>(0xC0 | c >> 6);
      tail(c, 0);
    } else if (c < 0x10000) {
      utf8 += static_cast<char>(0xE0 | c >> 12);
      tail(c, 6);
      tail(c, 0);
    } else {
      utf8 += static_cast<char>(0xF0 | c >> 18);
      tail(c, 12);
      tail(c, 6);
      tail(c, 0);
    }
  }
  return utf8;
}

std::vector<std::string> slow_scan(const Text& text, int max_digits) {
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = slow_piece_end(text, at, max_digits);
    pieces.push_back(to_utf8(text.substr(at, end - at)));
    at = end;
  }
  return pieces;
}

Text random_text(std::mt19937& random, std::size_t length) {
  // A few of each class, and what the pattern names; any scalar value now and then.
  static const Text kCharacters =
      U"aAzZſß\u01C5中あªʰ\u0301\u0308\u20E3١9½12 \t\u00A0\u3000\n\r\v!/'-\u200D😀'sStTreREvemllLdD";
  Text text;
  while (text.size() < length) {
    char32_t c = kCharacters[random() % kCharacters.size()];
    if (random() % 16 == 0) c = random() % 0x110000;
    if (c < 0xD800 || c > 0xDFFF) text += c;
  }
  return text;
}

TEST(PieceScanner, CutsRandomTextLikeABacktrackingMatcher) {
  std::mt19937 random(20250805);
  for (int round = 0; round < 100'000; ++round) {
    const Text text = random_text(random, random() % 24);
    const int max_digits = 1 + static_cast<int>(random() % 3);
    ASSERT_EQ(scan(to_utf8(text), max_digits), slow_scan(text, max_digits)) << to_utf8(text);
  }
}

TEST(PieceScanner, CutsEveryShortStringOverTheClassesLikeABacktrackingMatcher) {
  // One character of each class, and those that the pattern names.
  const Text characters =
      U"Aa中\u0301"
      U"1 \t\n!/'s";
  constexpr int kLength = 5;
  std::size_t num_texts = 1;
  for (int i = 0; i < kLength; ++i) num_texts *= characters.size();
  for (std::size_t number = 0; number < num_texts; ++number) {
    Text text;
    for (std::size_t rest = number; text.size() < kLength; rest /= characters.size()) {
      text += characters[rest % characters.size()];
    }
    ASSERT_EQ(scan(to_utf8(text)), slow_scan(text, 3)) << to_utf8(text);
  }
}

TEST(PieceScanner, JoinsASpaceOrSignToTheWordAfterIt) {
  EXPECT_THAT(scan("a b  c\td!e"), ElementsAre("a", " b", " ", " c", "\td", "!e"));
}

TEST(PieceScanner, SplitsWordsWhereLowerCaseTurnsUpper) {
  EXPECT_THAT(scan("camelCase HTTPServer"), ElementsAre("camel", "Case", " HTTPServer"));
}

TEST(PieceScanner, GivesUppercaseBackToACaselessLetterBeforeIt) {
  EXPECT_THAT(scan("中ABC"), ElementsAre("中", "ABC"));
}

TEST(PieceScanner, KeepsContractionsWithTheirWordInAnyCase) {
  EXPECT_THAT(scan("it's WE'LL 'tis it'ſ"), ElementsAre("it's", " WE'LL", " '", "tis", " it'ſ"));
}

TEST(PieceScanner, CutsDigitsIntoGroupsOfAtMostMaxDigits) {
  EXPECT_THAT(scan("12345", 3), ElementsAre("123", "45"));
  EXPECT_THAT(scan("12345", 1), ElementsAre("1", "2", "3", "4", "5"));
}

TEST(PieceScanner, EndsWhitespaceAfterItsLastNewline) {
  EXPECT_THAT(scan(" \n \n  x"), ElementsAre(" \n \n", " ", " x"));
}

TEST(PieceScanner, KeepsTrailingWhitespaceWhole) {
  EXPECT_THAT(scan("x   "), ElementsAre("x", "   "));
}

TEST(CharacterClass, FollowsUnicode16) {
  EXPECT_EQ(character_class(0x1C89), CharacterClass::kUpper);      // new in Unicode 16.0
  EXPECT_EQ(character_class(0x2EBF0), CharacterClass::kCaseless);  // new in Unicode 15.1
  EXPECT_EQ(character_class(0x323B0), CharacterClass::kOther);     // a letter from Unicode 17.0
  EXPECT_EQ(character_class(0x10FFFF), CharacterClass::kOther);
  EXPECT_EQ(character_class(0xE01EF), CharacterClass::kMark);
}

}  // namespace
}  // namespace gossamer::tokenizer
