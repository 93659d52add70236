#pragma once

#include <string>
#include <vector>

#include "api/completion_options.h"
#include "api/completions_request.h"
#include "chat/message_text.h"
#include "tokenizer/stream_decoder.h"
#include "tokenizer/tokenizer.h"

namespace gossamer::api {

/// Sampled tokens -> the chunks of a stream of POST /v1/completions, for all its prompts. Tokens
/// are text, special ones written out, but for those that end it. One thread at a time.
class CompletionsStream {
 public:
  /// `requests` are make_engine_requests' of `request`; that and the tokenizer must outlive the
  /// stream.
  CompletionsStream(
      const CompletionsRequest& request,
      const std::vector<engine::Request>& requests,
      const tokenizer::Tokenizer& tokenizer,
      CompletionHead head
  );

  /// The first chunks: the prompts, when they are to be repeated. Of prompts that are scored it is
  /// the first token; the others come with push.
  std::vector<Json> begin();

  /// The chunks that a token of a prompt's continuation makes.
  std::vector<Json> push(std::size_t choice, const engine::SampledToken& token);

  /// True once a stop text came up: the generation should be cancelled, and finished with kStop.
  bool is_stopped(std::size_t choice) const { return choices_[choice].text.is_stopped(); }

  /// The last chunks of a choice.
  std::vector<Json> finish(std::size_t choice, engine::FinishReason reason, int num_cached_tokens);

  /// The last chunk of all, with the usage; nothing if it was not asked for.
  std::vector<Json> finish() const;

  const chat::TurnUsage& usage() const { return usage_; }

 private:
  struct Choice {
    Choice(const tokenizer::Tokenizer& tokenizer, const std::vector<std::string>& stops)
        : decoder(tokenizer), text(stops) {}

    std::vector<TokenId> prompt;   // empty when it is not repeated
    std::size_t num_unscored = 0;  // tokens of the prompt that are yet to be sampled by force
    chat::MessageText prompt_text;
    tokenizer::StreamDecoder decoder;
    chat::MessageText text;
    std::size_t num_characters = 0;  // given so far
  };

  Json chunk(std::size_t choice, const std::string& text) const;
  void take(
      std::size_t choice,
      chat::MessageText& text,
      const engine::SampledToken& token,
      std::vector<Json>& chunks
  );
  void add(std::size_t choice, std::optional<chat::TextAdded> added, std::vector<Json>& chunks);
  Json logprobs(Choice& choice, const chat::TextAdded& added) const;

  const CompletionsRequest& request_;
  const tokenizer::Tokenizer& tokenizer_;
  CompletionHead head_;
  std::vector<std::vector<TokenId>> end_tokens_;  // by choice
  std::vector<Choice> choices_;
  chat::TurnUsage usage_;
};

/// The whole completion as one object, made of the chunks that the same stream gives.
class Completion {
 public:
  explicit Completion(std::size_t num_choices);

  /// Takes a chunk of CompletionsStream, in order.
  void add(const Json& chunk);

  /// {"object": "text_completion", …}
  Json json(const CompletionHead& head, const chat::TurnUsage& usage) const;

 private:
  std::vector<Json> choices_;
};

}  // namespace gossamer::api
