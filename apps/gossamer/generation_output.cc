#include "apps/gossamer/generation_output.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "base/terminal.h"

namespace gossamer::apps {
namespace {

using Json = nlohmann::ordered_json;

void print_now(std::FILE* stream, std::string_view text) {
  if (text.empty()) return;
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

class TextOutput final : public GenerationOutput {
 public:
  void token(const engine::SampledToken& /*sampled*/, std::string_view text) override {
    print_now(stdout, text);
  }
  void finish(std::string_view rest, const GenerationSummary& /*summary*/) override {
    print_now(stdout, rest);
    print_now(stdout, "\n");
  }
};

class IdOutput final : public GenerationOutput {
 public:
  void token(const engine::SampledToken& sampled, std::string_view /*text*/) override {
    print_now(stdout, fmt::format("{}{}", first_ ? "" : " ", sampled.token));
    first_ = false;
  }
  void finish(std::string_view /*rest*/, const GenerationSummary& /*summary*/) override {
    print_now(stdout, "\n");
  }

 private:
  bool first_ = true;
};

double rate(int count, double seconds) {
  return seconds > 0 ? count / seconds : 0.0;
}

Json to_json(const GenerationSummary& summary) {
  const int decoded = std::max(summary.completion_tokens - 1, 0);
  return {
      {"finish_reason", summary.finish_reason},
      {"prompt_tokens", summary.prompt_tokens},
      {"completion_tokens", summary.completion_tokens},
      {"load_seconds", summary.load_seconds},
      {"prefill_seconds", summary.prefill_seconds},
      {"decode_seconds", summary.decode_seconds},
      {"prefill_tokens_per_second", rate(summary.prompt_tokens, summary.prefill_seconds)},
      {"decode_tokens_per_second", rate(decoded, summary.decode_seconds)},
  };
}

class JsonOutput final : public GenerationOutput {
 public:
  explicit JsonOutput(std::optional<harmony::Encoding> encoding) {
    if (encoding) parser_.emplace(std::move(*encoding), assistant_options());
  }

  static harmony::ParserOptions assistant_options() {
    harmony::ParserOptions options;
    options.role = harmony::Role::kAssistant;
    return options;
  }

  void token(const engine::SampledToken& sampled, std::string_view text) override {
    Json line = {{"token", sampled.token}, {"text", text}, {"logprob", sampled.logprob}};
    for (const engine::TokenLogprob& entry : sampled.top) {
      line["top"].push_back({{"token", entry.token}, {"logprob", entry.logprob}});
    }
    print_line(line);
    if (parser_) parser_->push(sampled.token);
  }

  void finish(std::string_view rest, const GenerationSummary& summary) override {
    Json line = to_json(summary);
    line["text"] = rest;
    if (parser_) {
      parser_->finish();
      std::string analysis;
      std::string answer;
      for (const harmony::Message& message : parser_->messages()) {
        (message.channel == "final" ? answer : analysis) += message.text();
      }
      line["analysis"] = analysis;
      line["answer"] = answer;
    }
    print_line(line);
  }

 private:
  // Text that is not UTF-8 never gets here, but a token's own bytes could: replaced, not thrown at.
  static void print_line(const Json& line) {
    print_now(stdout, line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  std::optional<harmony::StreamParser> parser_;
};

class ChatOutput final : public GenerationOutput {
 public:
  explicit ChatOutput(harmony::Encoding encoding)
      : parser_(std::move(encoding), JsonOutput::assistant_options()),
        colour_(is_terminal(stderr)) {}

  void token(const engine::SampledToken& sampled, std::string_view /*text*/) override {
    show(parser_.push(sampled.token));
  }
  void finish(std::string_view /*rest*/, const GenerationSummary& /*summary*/) override {
    show(parser_.finish());
    if (answered_) print_now(stdout, "\n");
  }

 private:
  void show(std::span<const harmony::ParseEvent> events) {
    for (const harmony::ParseEvent& event : events) {
      if (const auto* started = std::get_if<harmony::MessageStarted>(&event)) {
        final_ = parser_.messages()[started->message].channel == "final";
        answered_ = answered_ || final_;
      } else if (const auto* added = std::get_if<harmony::TextAdded>(&event)) {
        if (final_) {
          print_now(stdout, added->text);
        } else {
          print_now(stderr, styled(added->text, Style::kDim, colour_));
        }
      } else if (std::holds_alternative<harmony::MessageEnded>(event) && !final_) {
        print_now(stderr, "\n");
      }
    }
  }

  harmony::StreamParser parser_;
  bool colour_;
  bool final_ = false;
  bool answered_ = false;
};

}  // namespace

std::unique_ptr<GenerationOutput> make_text_output() {
  return std::make_unique<TextOutput>();
}

std::unique_ptr<GenerationOutput> make_id_output() {
  return std::make_unique<IdOutput>();
}

std::unique_ptr<GenerationOutput> make_json_output(std::optional<harmony::Encoding> encoding) {
  return std::make_unique<JsonOutput>(std::move(encoding));
}

std::unique_ptr<GenerationOutput> make_chat_output(harmony::Encoding encoding) {
  return std::make_unique<ChatOutput>(std::move(encoding));
}

void print_stats(const GenerationSummary& summary, std::string_view backend) {
  const int decoded = std::max(summary.completion_tokens - 1, 0);
  fmt::print(
      stderr,
      "{}: loaded in {:.2f} s; read {} tokens in {:.2f} s ({:.1f} tokens/s); wrote {} tokens, "
      "{:.1f} tokens/s; {}\n",
      backend,
      summary.load_seconds,
      summary.prompt_tokens,
      summary.prefill_seconds,
      rate(summary.prompt_tokens, summary.prefill_seconds),
      summary.completion_tokens,
      rate(decoded, summary.decode_seconds),
      summary.finish_reason
  );
}

}  // namespace gossamer::apps
