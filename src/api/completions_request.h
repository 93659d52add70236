#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "api/json_reader.h"
#include "base/token_id.h"
#include "engine/request.h"
#include "tokenizer/tokenizer.h"

namespace gossamer::api {

/// A text, or tokens.
using CompletionPrompt = std::variant<std::string, std::vector<TokenId>>;

/// A request to POST /v1/completions: prompts that are continued as they are, without Harmony.
struct CompletionsRequest {
  std::string id;     ///< of the completion that answers it
  std::string model;  ///< as the client wrote it
  std::vector<CompletionPrompt> prompts;
  engine::SamplingParams sampling;
  int max_tokens = 16;  ///< 0 only where the prompt is scored
  std::vector<std::string> stop;
  bool echo = false;            ///< the prompt comes before what was generated
  std::optional<int> logprobs;  ///< how many of the likeliest tokens to report with each token
  bool parses_special = false;  ///< "<|start|>" in a text is the token
  bool goes_past_end = false;   ///< the tokens that end a turn do not end the text
  bool stream = false;
  bool include_usage = false;  ///< at the end of a stream
  std::string user;            ///< as engine::Request::user

  /// Whether the log-probabilities of the prompts themselves are asked for: echo with logprobs.
  bool scores_prompt() const { return echo && logprobs.has_value(); }
};

/// Reads a request (parse_body's). "prompt" is a text, a list of texts, token ids, or a list of
/// lists of them. Of other servers' fields "parse_special" and "ignore_eos" are known; unknown ones
/// are ignored.
ApiResult<CompletionsRequest> read_completions_request(
    const Json& body, const std::string& default_model
);

/// The tokens of one of the request's prompts.
std::vector<TokenId> prompt_tokens(
    const CompletionsRequest& request,
    const CompletionPrompt& prompt,
    const tokenizer::Tokenizer& tokenizer
);

/// The engine's requests, one a prompt. `end_tokens` end a text. Where the prompt is scored, its
/// first token is the engine's prompt, and a mask forces the others to be sampled; those of
/// `end_tokens` that are among them end nothing. Errors: a prompt without tokens, or one of a
/// single token when none is to be generated.
ApiResult<std::vector<engine::Request>> make_engine_requests(
    const CompletionsRequest& request,
    const tokenizer::Tokenizer& tokenizer,
    const std::vector<TokenId>& end_tokens
);

}  // namespace gossamer::api
