#include "grammar/header_grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "engine/sampler.h"
#include "engine/token_choice.h"
#include "grammar/header_mask.h"
#include "harmony/stream_parser.h"

namespace gossamer::grammar {
namespace {

using harmony::Encoding;
using harmony::Marker;
using harmony::ParsedStream;
using harmony::ParseMode;
using harmony::Repair;
using testing::HasSubstr;

const Encoding& encoding() {
  static const Encoding instance =
      std::move(Encoding::create(std::move(tokenizer::Tokenizer::o200k_harmony()).value())).value();
  return instance;
}

TurnRules rules_with_tools() {
  TurnRules rules;
  rules.recipients = {
      Recipient::function("functions.get_weather"),
      Recipient::function("functions.get_weather_forecast"),
      Recipient::function("functions.größe-42"),
      Recipient::built_in("browser.search"),
      Recipient::built_in("python"),
  };
  return rules;
}

std::shared_ptr<const HeaderGrammar> grammar_of(const TurnRules& rules) {
  auto grammar = HeaderGrammar::create(encoding(), rules);
  GOSSAMER_CHECK(grammar.ok());
  return *grammar;
}

std::vector<TokenId> allowed_by(const HeaderMask& mask) {
  std::vector<std::uint64_t> bits((encoding().tokenizer().vocab_size() + 63) / 64, ~0ULL);
  GOSSAMER_CHECK(mask.fill(bits));
  std::vector<TokenId> tokens;
  for (TokenId token = 0; token < bits.size() * 64; ++token) {
    if ((bits[token / 64] >> token % 64 & 1) != 0) tokens.push_back(token);
  }
  return tokens;
}

bool is_allowed(const HeaderMask& mask, TokenId token) {
  const auto tokens = allowed_by(mask);
  return std::binary_search(tokens.begin(), tokens.end(), token);
}

/// The first token of text that the mask does not allow, as text; "" when it allows all.
std::string first_refused(HeaderMask mask, std::string_view text) {
  for (const TokenId token : encoding().tokenizer().encode_with_specials(text)) {
    if (!is_allowed(mask, token)) {
      return std::string(encoding().tokenizer().bytes_of(token).value());
    }
    mask.accept(token);
  }
  return "";
}

std::string refused(std::string_view text) {
  return first_refused(HeaderMask(grammar_of(rules_with_tools())), text);
}

TEST(HeaderGrammarTest, AllowsWhatTheModelsWrite) {
  for (const std::string_view text : {
           "<|channel|>final<|message|>Hello!<|return|>",
           "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>a",
           "<|channel|>commentary<|message|>Let me look.<|end|><|start|>assistant<|channel|>",
           " to=functions.get_weather<|channel|>commentary <|constrain|>json<|message|>{}<|call|>",
           "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{}<|call|>",
           "<|channel|>commentary to=functions.get_weather<|constrain|>json<|message|>{}<|call|>",
           "<|channel|>commentary to=functions.get_weather_forecast code<|message|>{}<|call|>",
           "<|channel|>commentary to=functions.größe-42<|message|>{}<|call|>",
           "<|channel|>analysis to=python code<|message|>1<|call|>",
           " to=browser.search<|channel|>analysis json<|message|>{}<|call|>",
       }) {
    EXPECT_EQ(refused(text), "") << text;
  }
}

TEST(HeaderGrammarTest, RefusesMalformedHeaders) {
  EXPECT_EQ(refused("Hello"), "Hello");
  EXPECT_EQ(refused("<|message|>"), "<|message|>");
  EXPECT_EQ(refused("<|channel|><|message|>"), "<|message|>");
  EXPECT_EQ(refused("<|channel|>final<|channel|>final"), "<|channel|>");
  EXPECT_EQ(refused("<|channel|>commentary 2?<|message|>"), " ");
  EXPECT_EQ(refused("<|channel|>analysis<|end|>"), "<|end|>");
  EXPECT_EQ(refused("<|channel|>thoughts<|message|>"), "thought");
  EXPECT_EQ(refused("<|channel|>commentary<|constrain|>json<|message|>"), "<|constrain|>");
  EXPECT_EQ(refused("<|end|>"), "<|end|>");
}

TEST(HeaderGrammarTest, RefusesToolsThatWereNotDeclared) {
  EXPECT_NE(refused("<|channel|>commentary to=functions.get<|message|>"), "");
  EXPECT_NE(refused("<|channel|>commentary to=functions.get_weather_now<|message|>"), "");
  EXPECT_NE(refused(" to=browser.open<|channel|>"), "");
  EXPECT_EQ(
      first_refused(HeaderMask(grammar_of({})), "<|channel|>commentary to=python<|message|>"), " to"
  );
}

TEST(HeaderGrammarTest, FunctionsAreCalledOnCommentaryOnlyAndNothingOnFinal) {
  EXPECT_NE(refused("<|channel|>analysis to=functions.get_weather<|message|>"), "");
  EXPECT_NE(refused(" to=functions.get_weather<|channel|>analysis<|message|>"), "");
  EXPECT_EQ(refused("<|channel|>final to=python<|message|>"), " to");
}

TEST(HeaderGrammarTest, AMessageEndsAsItsKindDoes) {
  EXPECT_EQ(refused("<|channel|>final<|message|>a<|end|>"), "<|end|>");
  EXPECT_EQ(refused("<|channel|>analysis<|message|>a<|return|>"), "<|return|>");
  EXPECT_EQ(refused("<|channel|>commentary to=python<|message|>a<|end|>"), "<|end|>");
  EXPECT_EQ(refused("<|channel|>analysis<|message|>a<|end|><|start|>user"), "user");
  EXPECT_EQ(refused("<|channel|>analysis<|message|>a<|end|><|return|>"), "<|return|>");
}

TEST(HeaderGrammarTest, ContentMayBeAnyTextAndNoOtherSpecialToken) {
  HeaderMask mask(grammar_of({}));
  for (const TokenId token :
       encoding().tokenizer().encode_with_specials("<|channel|>final<|message|>")) {
    mask.accept(token);
  }
  const auto allowed = allowed_by(mask);
  EXPECT_EQ(allowed.size(), 199'998U + 1);  // every text token, and <|return|>
  for (const TokenId token : allowed) {
    EXPECT_TRUE(!encoding().is_special(token) || token == encoding().id(Marker::kReturn));
  }
}

TEST(HeaderGrammarTest, WithoutFinalATurnMustEndInACall) {
  TurnRules rules = rules_with_tools();
  rules.channels = {"analysis", "commentary"};
  EXPECT_EQ(first_refused(HeaderMask(grammar_of(rules)), "<|channel|>final<|message|>"), "final");
}

TEST(HeaderGrammarTest, NamesThatCannotStandInAHeaderAreErrors) {
  TurnRules rules;
  rules.recipients = {Recipient::function("functions.Web Search")};
  const auto grammar = HeaderGrammar::create(encoding(), rules);
  ASSERT_FALSE(grammar.ok());
  EXPECT_THAT(grammar.error().message, HasSubstr("tool \"functions.Web Search\" cannot stand"));
  EXPECT_FALSE(HeaderGrammar::create(encoding(), {.channels = {"final<"}, .recipients = {}}).ok());
}

TEST(HeaderGrammarTest, ATurnThatCouldNotEndIsAnError) {
  const auto grammar =
      HeaderGrammar::create(encoding(), {.channels = {"analysis"}, .recipients = {}});
  ASSERT_FALSE(grammar.ok());
  EXPECT_THAT(grammar.error().message, HasSubstr("could never end"));
}

TEST(HeaderGrammarTest, ATokenThatWasNotAllowedEndsTheHold) {
  HeaderMask mask(grammar_of({}));
  mask.accept(encoding().id(Marker::kEnd));
  std::vector<std::uint64_t> bits(4, 5);
  EXPECT_FALSE(mask.fill(bits));
  EXPECT_THAT(bits, testing::Each(5U));
}

TEST(HeaderGrammarTest, AMaskOfFewerTokensThanTheVocabularyIsFilled) {
  std::vector<std::uint64_t> bits(1, ~0ULL);
  EXPECT_TRUE(HeaderMask(grammar_of({})).fill(bits));
  EXPECT_EQ(bits[0], 0U);
}

/// Expects a turn to be well-formed for both parsers, and to call declared tools only.
void expect_well_formed(const std::vector<TokenId>& turn) {
  const auto role = harmony::Role::kAssistant;
  const ParsedStream strict =
      parse_stream(encoding(), turn, {.mode = ParseMode::kStrict, .role = role});
  EXPECT_FALSE(strict.error) << *strict.error;
  const ParsedStream lenient = parse_stream(encoding(), turn, {.role = role});
  for (const auto& diagnostic : lenient.diagnostics) {
    EXPECT_EQ(diagnostic.repair, Repair::kInvalidUtf8) << repair_name(diagnostic.repair);
  }
  std::set<std::string> declared;
  for (const Recipient& recipient : rules_with_tools().recipients) declared.insert(recipient.name);
  ASSERT_EQ(strict.messages.size(), lenient.messages.size());
  for (std::size_t i = 0; i < strict.messages.size(); ++i) {
    const harmony::Message& message = lenient.messages[i];
    EXPECT_EQ(message.recipient, strict.messages[i].recipient);
    EXPECT_EQ(message.channel, strict.messages[i].channel);
    EXPECT_TRUE(message.channel.has_value());
    EXPECT_TRUE(!message.recipient || declared.contains(*message.recipient));
  }
}

/// One of the allowed tokens, half of the time a special one, so that messages are short.
TokenId random_choice(const HeaderMask& mask, std::mt19937& random) {
  auto allowed = allowed_by(mask);
  const auto special = std::stable_partition(allowed.begin(), allowed.end(), [](TokenId token) {
    return !encoding().is_special(token);
  });
  const auto num_text = static_cast<std::size_t>(special - allowed.begin());
  const std::size_t num_special = allowed.size() - num_text;
  const bool take_special = num_text == 0 || (num_special > 0 && random() % 2 == 0);
  return allowed[take_special ? num_text + random() % num_special : random() % num_text];
}

TEST(HeaderGrammarTest, RandomWalksAreWellFormedTurns) {
  std::mt19937 random(1);
  const auto grammar = grammar_of(rules_with_tools());
  std::size_t num_messages = 0;
  for (int i = 0; i < 300; ++i) {
    HeaderMask mask(grammar);
    std::vector<TokenId> turn;
    while (!mask.is_over()) {
      turn.push_back(random_choice(mask, random));
      mask.accept(turn.back());
      if (turn.back() == encoding().id(Marker::kMessage)) ++num_messages;
    }
    expect_well_formed(turn);
  }
  EXPECT_GT(num_messages, 350U);
}

TEST(HeaderGrammarTest, TurnsSampledFromRandomLogitsAtAHighTemperatureAreWellFormed) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal(0, 3);
  const auto grammar = grammar_of(rules_with_tools());
  std::vector<float> logits(encoding().tokenizer().vocab_size());
  std::vector<std::uint64_t> allowed((logits.size() + 63) / 64);
  engine::ChoiceScratch scratch;
  engine::SamplingParams params;
  params.temperature = 1.5;
  for (int i = 0; i < 10; ++i) {
    engine::Sampler sampler(params, i);
    HeaderMask mask(grammar);
    std::vector<TokenId> turn;
    while (!mask.is_over()) {
      for (float& logit : logits) logit = normal(random);
      for (const Marker marker : {Marker::kEnd, Marker::kCall, Marker::kReturn}) {
        logits[encoding().id(marker)] += 25;  // turns should come to an end
      }
      const bool is_masked = mask.fill(allowed);
      const std::span<const std::uint64_t> words(allowed.data(), is_masked ? allowed.size() : 0);
      turn.push_back(engine::choose_token(logits, sampler.next_row(words), scratch).token);
      sampler.accept(turn.back());
      mask.accept(turn.back());
    }
    expect_well_formed(turn);
  }
}

}  // namespace
}  // namespace gossamer::grammar
