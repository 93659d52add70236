#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/json_reader.h"
#include "chat/turn.h"

namespace gossamer::api {

// What Chat Completions and Completions have in common.

/// What every chunk of a completion says about it.
struct CompletionHead {
  std::string id;
  std::string model;
  std::int64_t created = 0;  ///< Unix time in seconds

  /// {"id", "object", "created", "model"}
  Json json(std::string_view object) const;
};

/// Reads "stop": a text, or a list of them. Empty ones say nothing and are left out.
std::vector<std::string> read_stop(const ObjectReader& request);

/// Reads "stream_options": whether usage is to come with the stream.
bool read_include_usage(const ObjectReader& request);

/// Notes an error when more than one choice is asked for: "n", and "best_of".
void refuse_several_choices(const ObjectReader& request);

/// Who asks, if the client says.
std::string read_user(const ObjectReader& request);

/// An id in OpenAI's form: "chatcmpl-" and digits.
std::string new_completion_id(std::string_view prefix);

/// {"prompt_tokens", "completion_tokens", "total_tokens", …} with the details of both.
Json completion_usage_json(const chat::TurnUsage& usage);

/// A log-probability as JSON can hold it: what cannot come has OpenAI's -9999.
double finite_logprob(double logprob);

}  // namespace gossamer::api
