#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/token_id.h"
#include "harmony/encoding.h"

namespace gossamer::grammar {

/// A tool that the model may call.
struct Recipient {
  std::string name;                   ///< as after "to=", e.g. "functions.get_weather"
  std::vector<std::string> channels;  ///< on which it may be called

  /// A declared function: called on commentary, as the system message says.
  static Recipient function(std::string_view name);

  /// A built-in tool, which the models also call while they think.
  static Recipient built_in(std::string_view name);
};

/// What an assistant turn may consist of.
struct TurnRules {
  /// Channels for messages to the user and to itself. Without "final", a turn can only end in a
  /// tool call.
  std::vector<std::string> channels = {"analysis", "commentary", "final"};
  std::vector<Recipient> recipients;
};

/// The assistant's side of the format as an automaton over tokens: which may come next so that
/// every header is well-formed, names a valid channel and a declared tool, and every message ends
/// as its kind does. Compiled for a set of tools, in some 20 us for each; immutable; any thread may
/// use it.
///
///   turn    := header <|message|> content (<|end|> <|start|>assistant turn | <|call|> |
///   <|return|>) header  := <|channel|> channel
///            | <|channel|> channel " to=" tool [type]
///            | " to=" tool <|channel|> channel [type]
///   type    := [" "] <|constrain|> "json" | " json" | " code"
///   content := any text tokens
///
/// A call ends in <|call|>, a final message in <|return|>, any other in <|end|>. Header text is
/// allowed in the tokens that the tokenizer gives it, and no others.
class HeaderGrammar {
 public:
  /// A place in the automaton.
  using State = std::uint32_t;

  /// Error when a name cannot stand in a header: it is empty, or holds white space or '<'; or when
  /// a turn could not end.
  static Result<std::shared_ptr<const HeaderGrammar>> create(
      const harmony::Encoding& encoding, const TurnRules& rules
  );

  /// After a prompt that ends in `<|start|>assistant`.
  State start() const { return kHeader; }

  /// After `token`. A token that was not allowed leads to a place where everything is.
  State next(State state, TokenId token) const;

  /// As engine::TokenMask::fill.
  bool fill(State state, std::span<std::uint64_t> allowed) const;

  /// True when the turn is over: its last token was `<|call|>` or `<|return|>`.
  bool is_over(State state) const { return state == kOver; }

 private:
  // The first states; those of header text follow.
  static constexpr State kHeader = 0;   // after <|start|>assistant
  static constexpr State kBetween = 1;  // after <|end|>
  static constexpr State kOver = 2;
  static constexpr State kFree = 3;           // after a token that was not allowed
  static constexpr State kTextContent = 4;    // of a message that <|end|> ends
  static constexpr State kCallContent = 5;    // ... <|call|>
  static constexpr State kAnswerContent = 6;  // ... <|return|>
  static constexpr State kFirstHeaderText = 7;

  /// Where tokens lead from one place; sorted by nothing, and short.
  using Edges = std::vector<std::pair<TokenId, State>>;

  explicit HeaderGrammar(harmony::Encoding encoding) : encoding_(std::move(encoding)) {}

  void add_path(State from, std::span<const TokenId> tokens, State to);
  void add_headers(const TurnRules& rules);
  void add_content();
  bool is_text(TokenId token) const;

  harmony::Encoding encoding_;
  std::vector<Edges> edges_;  // by state; of content states, what ends them
};

}  // namespace gossamer::grammar
