#include "grammar/header_grammar.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <variant>

namespace gossamer::grammar {

namespace {

using harmony::Encoding;
using harmony::Marker;

constexpr std::string_view kAnalysis = "analysis";
constexpr std::string_view kCommentary = "commentary";
constexpr std::string_view kFinal = "final";

/// Text and markers that stand next to each other.
using Pieces = std::vector<std::variant<std::string, Marker>>;

/// The ways in which the models write the type of a call's content.
const std::vector<Pieces>& content_types() {
  static const std::vector<Pieces> types = {
      {},
      {" ", Marker::kConstrain, "json"},
      {Marker::kConstrain, "json"},
      {" json"},
      {" code"},
  };
  return types;
}

/// Encodes pieces; remembers the texts, as headers repeat them.
class PieceEncoder {
 public:
  explicit PieceEncoder(const Encoding& encoding) : encoding_(encoding) {}

  /// Tokens of pieces; text that is not parted by a marker is encoded as one.
  std::vector<TokenId> tokens(const Pieces& pieces) {
    std::vector<TokenId> tokens;
    std::string text;
    for (const auto& piece : pieces) {
      if (const auto* marker = std::get_if<Marker>(&piece)) {
        add_text(text, tokens);
        tokens.push_back(encoding_.id(*marker));
      } else {
        text += std::get<std::string>(piece);
      }
    }
    add_text(text, tokens);
    return tokens;
  }

 private:
  void add_text(std::string& text, std::vector<TokenId>& tokens) {
    if (text.empty()) return;
    const auto [entry, is_new] = texts_.try_emplace(text);
    if (is_new) entry->second = encoding_.tokenizer().encode_ordinary(text);
    tokens.insert(tokens.end(), entry->second.begin(), entry->second.end());
    text.clear();
  }

  const Encoding& encoding_;
  std::unordered_map<std::string, std::vector<TokenId>> texts_;
};

Pieces joined(Pieces head, const Pieces& tail) {
  head.insert(head.end(), tail.begin(), tail.end());
  head.emplace_back(Marker::kMessage);
  return head;
}

Status check_name(std::string_view kind, std::string_view name) {
  if (!name.empty() && name.find_first_of(" \t\n\v\f\r<") == std::string_view::npos) return {};
  return make_error(
      ErrorCode::kInvalidArgument,
      "{} \"{}\" cannot stand in a message header: names must not be empty, nor hold white space "
      "or '<'",
      kind,
      name
  );
}

Status check_rules(const TurnRules& rules) {
  for (const std::string& channel : rules.channels) {
    GOSSAMER_RETURN_IF_ERROR(check_name("channel", channel));
  }
  bool can_end =
      std::find(rules.channels.begin(), rules.channels.end(), kFinal) != rules.channels.end();
  for (const Recipient& recipient : rules.recipients) {
    GOSSAMER_RETURN_IF_ERROR(check_name("tool", recipient.name));
    for (const std::string& channel : recipient.channels) {
      GOSSAMER_RETURN_IF_ERROR(check_name("channel", channel));
    }
    can_end = can_end || !recipient.channels.empty();
  }
  if (can_end) return {};
  return make_error(
      ErrorCode::kInvalidArgument,
      "a turn could never end: allow the channel \"final\" or declare a tool"
  );
}

}  // namespace

Recipient Recipient::function(std::string_view name) {
  return {std::string(name), {std::string(kCommentary)}};
}

Recipient Recipient::built_in(std::string_view name) {
  return {std::string(name), {std::string(kAnalysis), std::string(kCommentary)}};
}

Result<std::shared_ptr<const HeaderGrammar>> HeaderGrammar::create(
    const Encoding& encoding, const TurnRules& rules
) {
  GOSSAMER_RETURN_IF_ERROR(check_rules(rules));
  std::shared_ptr<HeaderGrammar> grammar(new HeaderGrammar(encoding));
  grammar->edges_.resize(kFirstHeaderText);
  grammar->add_content();
  grammar->add_headers(rules);
  return std::shared_ptr<const HeaderGrammar>(std::move(grammar));
}

void HeaderGrammar::add_content() {
  edges_[kTextContent] = {{encoding_.id(Marker::kEnd), kBetween}};
  edges_[kCallContent] = {{encoding_.id(Marker::kCall), kOver}};
  edges_[kAnswerContent] = {{encoding_.id(Marker::kReturn), kOver}};
  // A sampler must be able to choose something: what ends a turn ends it again.
  edges_[kOver] = {{encoding_.id(Marker::kReturn), kOver}};
  add_path(kBetween, PieceEncoder(encoding_).tokens({Marker::kStart, "assistant"}), kHeader);
}

void HeaderGrammar::add_headers(const TurnRules& rules) {
  PieceEncoder encoder(encoding_);
  for (const std::string& channel : rules.channels) {
    const Pieces header = {Marker::kChannel, channel, Marker::kMessage};
    add_path(kHeader, encoder.tokens(header), channel == kFinal ? kAnswerContent : kTextContent);
  }
  for (const Recipient& recipient : rules.recipients) {
    const std::string to = " to=" + recipient.name;
    for (const std::string& channel : recipient.channels) {
      for (const Pieces& type : content_types()) {
        const Pieces after_role = joined({to, Marker::kChannel, channel}, type);
        const Pieces after_channel = joined({Marker::kChannel, channel, to}, type);
        add_path(kHeader, encoder.tokens(after_role), kCallContent);
        add_path(kHeader, encoder.tokens(after_channel), kCallContent);
      }
    }
  }
}

void HeaderGrammar::add_path(State from, std::span<const TokenId> tokens, State to) {
  State state = from;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto found =
        std::find_if(edges_[state].begin(), edges_[state].end(), [&](const auto& edge) {
          return edge.first == tokens[i];
        });
    if (found != edges_[state].end()) {
      state = found->second;
      continue;
    }
    const State target = i + 1 == tokens.size() ? to : static_cast<State>(edges_.size());
    if (i + 1 < tokens.size()) edges_.emplace_back();
    edges_[state].emplace_back(tokens[i], target);
    state = target;
  }
}

bool HeaderGrammar::is_text(TokenId token) const {
  const auto text = encoding_.text_tokens();
  return token / 64 < text.size() && (text[token / 64] >> token % 64 & 1) != 0;
}

HeaderGrammar::State HeaderGrammar::next(State state, TokenId token) const {
  for (const auto& [label, target] : edges_[state]) {
    if (label == token) return target;
  }
  const bool is_content = state >= kTextContent && state <= kAnswerContent;
  return is_content && is_text(token) ? state : kFree;
}

bool HeaderGrammar::fill(State state, std::span<std::uint64_t> allowed) const {
  if (state == kFree) return false;
  std::fill(allowed.begin(), allowed.end(), 0);
  if (state >= kTextContent && state <= kAnswerContent) {
    const auto text = encoding_.text_tokens();
    std::copy_n(text.begin(), std::min(text.size(), allowed.size()), allowed.begin());
  }
  for (const auto& [label, target] : edges_[state]) {
    if (label / 64 < allowed.size()) allowed[label / 64] |= std::uint64_t{1} << label % 64;
  }
  return true;
}

}  // namespace gossamer::grammar
