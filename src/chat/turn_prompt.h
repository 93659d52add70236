#pragma once

#include <vector>

#include "base/result.h"
#include "base/token_id.h"
#include "harmony/encoding.h"
#include "harmony/message.h"
#include "harmony/renderer.h"

namespace gossamer::chat {

/// The tokens that the generations of a turn continue. Grows by the messages of the turn, and only
/// at its end: the prompt of each generation begins with that of the one before, and with what was
/// sampled since.
class TurnPrompt {
 public:
  /// Renders what comes before the turn. Reasoning that an answer follows is left out, as the
  /// models were trained. Errors as harmony::Renderer::message.
  static Result<TurnPrompt> create(
      const harmony::Encoding& encoding, const harmony::Conversation& conversation
  );

  /// Adds a message of the turn itself.
  Status append(const harmony::Message& message);

  /// Everything so far, and the beginning of an assistant's message.
  std::vector<TokenId> tokens() const;

  /// The messages alone.
  const std::vector<TokenId>& message_tokens() const { return tokens_; }

  /// As engine::Request::reuse_positions: after the declarations, around each user message, and
  /// where the turn began. Those before an assistant's message are behind its `<|start|>assistant`,
  /// where the prompt of that turn ended.
  const std::vector<int>& reuse_positions() const { return reuse_positions_; }

 private:
  TurnPrompt(const harmony::Encoding& encoding, const harmony::Conversation& conversation);

  void note_reuse(const harmony::Message* previous, const harmony::Message& next);

  harmony::Renderer renderer_;
  harmony::FunctionTools functions_;
  std::vector<TokenId> header_;  // <|start|>assistant
  std::vector<TokenId> tokens_;
  std::vector<int> reuse_positions_;
  bool has_begun_ = false;  // a message of the turn was appended
};

}  // namespace gossamer::chat
