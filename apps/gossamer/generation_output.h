#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/request.h"
#include "harmony/encoding.h"
#include "harmony/stream_parser.h"

namespace gossamer::apps {

/// How a generation went, for the last line.
struct GenerationSummary {
  std::string_view finish_reason;  // "stop", "length" or "interrupted"
  int prompt_tokens = 0;
  int completion_tokens = 0;
  double load_seconds = 0;
  double prefill_seconds = 0;  // to the first token
  double decode_seconds = 0;   // the tokens after it
};

/// Shows a generation as it comes. `text` is what a token adds to the text: whole UTF-8, without
/// stop strings, and often empty.
class GenerationOutput {
 public:
  virtual ~GenerationOutput() = default;
  virtual void token(const engine::SampledToken& sampled, std::string_view text) = 0;
  /// rest: text that was held back until the end was known.
  virtual void finish(std::string_view rest, const GenerationSummary& summary) = 0;
};

/// The text as it is, on stdout.
std::unique_ptr<GenerationOutput> make_text_output();

/// Token ids, separated by spaces, for models without a tokenizer.
std::unique_ptr<GenerationOutput> make_id_output();

/// An object a line for every token, and a last one with the summary. With an encoding, the last
/// one also has the parsed analysis and answer.
std::unique_ptr<GenerationOutput> make_json_output(std::optional<harmony::Encoding> encoding);

/// Harmony, read as it streams: analysis and commentary dimmed on stderr, the final answer on
/// stdout.
std::unique_ptr<GenerationOutput> make_chat_output(harmony::Encoding encoding);

/// "3.2 tokens/s" and the like, on stderr.
void print_stats(const GenerationSummary& summary, std::string_view backend);

}  // namespace gossamer::apps
