#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/gossamer/command.h"
#include "apps/gossamer/text_input.h"
#include "base/terminal.h"
#include "harmony/explain.h"
#include "harmony/message_json.h"
#include "harmony/renderer.h"
#include "harmony/stream_parser.h"

namespace gossamer::apps {
namespace {

using harmony::Encoding;
using harmony::ParsedStream;
using harmony::ParseMode;
using harmony::Renderer;
using harmony::Role;
using nlohmann::ordered_json;

constexpr const char* kRenderFooter = R"(
Input: {"messages":[{"role":"user","content":"hi"}, …]}, the reference library's form.

Examples:
  echo '{"messages":[{"role":"user","content":"hi"}]}' | gossamer harmony render
                                            {"tokens":[200006,1428,200008,3686,200007,200006,173781]}
  gossamer harmony render --text < chat.json              what the model reads, as text
  gossamer harmony render < chat.json | gossamer harmony explain
  gossamer harmony render --lines < chats.jsonl           a conversation a line, a result a line
)";

constexpr const char* kParseFooter = R"(
Input: {"tokens":[…]}, [ids], or text in which special tokens are written out. A stream that does not
begin with <|start|> is taken for a completion, which begins inside the assistant's header; --role says
otherwise, as does "role" next to "tokens".

Examples:
  echo -n '<|channel|>final<|message|>Hello!<|return|>' | gossamer harmony parse
            {"messages":[{"role":"assistant","content":"Hello!","channel":"final"}],"diagnostics":[]}
  gossamer harmony parse --strict < tokens.json           fails where the reference library fails
)";

constexpr const char* kExplainFooter = R"(
Input: as for `gossamer harmony parse`, or a conversation as for `gossamer harmony render`.

Examples:
  gossamer harmony explain < chat.json                    the prompt of a conversation
  gossamer harmony explain --tokens < tokens.json         every token of a stream
)";

struct Options {
  std::string model;
  std::string role;
  bool no_completion = false;
  bool keep_analysis = false;
  bool training = false;
  bool text = false;
  bool strict = false;
  bool lenient = false;
  bool lines = false;
  bool tokens = false;
};

Result<Encoding> load_encoding(const Options& options) {
  GOSSAMER_ASSIGN_OR_RETURN(auto tokenizer, load_tokenizer(options.model));
  return Encoding::create(std::move(tokenizer));
}

std::string tokens_json(const std::vector<TokenId>& tokens) {
  return fmt::format("{{\"tokens\":[{}]}}", fmt::join(tokens, ","));
}

/// A JSON object with one string, safe whatever the string holds.
std::string error_json(const std::string& message) {
  return ordered_json{{"error", message}}.dump(
      -1, ' ', false, ordered_json::error_handler_t::replace
  );
}

/// A stream to parse.
struct Stream {
  std::vector<TokenId> tokens;
  std::optional<Role> role;  // the author that the prompt ended with
};

Result<std::vector<TokenId>> ids_of(const ordered_json& list) {
  std::vector<TokenId> ids;
  for (const ordered_json& id : list) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > UINT32_MAX) {
      return make_error(
          ErrorCode::kInvalidArgument, "{} is not a token id: they are 0 .. 2^32 - 1", id.dump()
      );
    }
    ids.push_back(id.get<TokenId>());
  }
  return ids;
}

/// "none" or "" is no role.
Result<std::optional<Role>> role_of(const std::string& name) {
  if (name.empty() || name == "none") return std::optional<Role>();
  const auto role = harmony::role_from_name(name);
  if (role) return role;
  return make_error(
      ErrorCode::kInvalidArgument,
      "\"{}\" is not a role: user, assistant, system, developer, tool, or none",
      name
  );
}

Result<std::vector<TokenId>> rendered(
    const Encoding& encoding, std::string_view json, const Options& options, std::string* text
) {
  GOSSAMER_ASSIGN_OR_RETURN(const auto conversation, harmony::conversation_from_json(json));
  const Renderer renderer(encoding);
  const auto analysis =
      options.keep_analysis ? harmony::EarlierAnalysis::kKeep : harmony::EarlierAnalysis::kDrop;
  const auto fragments = options.training ? renderer.for_training(conversation, analysis)
                         : options.no_completion
                             ? renderer.conversation(conversation, analysis)
                             : renderer.for_completion(conversation, Role::kAssistant, analysis);
  if (!fragments.ok()) return fragments.error();
  if (text != nullptr) *text = renderer.text(*fragments);
  return renderer.tokens(*fragments);
}

/// The ids in JSON: {"tokens": …} or a list. None when the input is not that: it is text.
Result<std::optional<Stream>> stream_from_json(std::string_view input, std::string& role) {
  if (input.find_first_of("{[") != input.find_first_not_of(" \t\r\n")) {
    return std::optional<Stream>();
  }
  const auto json = ordered_json::parse(input, nullptr, false);
  const bool has_tokens = json.is_object() && json.contains("tokens") && json["tokens"].is_array();
  if (!has_tokens && !json.is_array()) return std::optional<Stream>();
  Stream stream;
  GOSSAMER_ASSIGN_OR_RETURN(stream.tokens, ids_of(has_tokens ? json["tokens"] : json));
  if (has_tokens && json.contains("role")) {
    role = json["role"].is_string() ? json["role"].get<std::string>() : "none";
  }
  return std::optional<Stream>(std::move(stream));
}

bool is_conversation(std::string_view input) {
  if (input.find('{') != input.find_first_not_of(" \t\r\n")) return false;
  const auto json = ordered_json::parse(input, nullptr, false);
  return json.is_object() && json.contains("messages");
}

Result<Stream> read_stream(
    const Encoding& encoding, std::string_view input, const Options& options
) {
  std::string role = options.role;
  GOSSAMER_ASSIGN_OR_RETURN(auto found, stream_from_json(input, role));
  Stream stream = found ? std::move(*found)
                        : Stream{encoding.tokenizer().encode_with_specials(input), std::nullopt};
  if (role.empty()) {
    const bool has_start =
        !stream.tokens.empty() && stream.tokens.front() == encoding.id(harmony::Marker::kStart);
    role = has_start ? "none" : "assistant";
  }
  GOSSAMER_ASSIGN_OR_RETURN(stream.role, role_of(role));
  return stream;
}

ordered_json diagnostic_json(const harmony::Diagnostic& diagnostic) {
  return {
      {"repair", repair_name(diagnostic.repair)},
      {"position", diagnostic.position},
      {"detail", diagnostic.detail},
      {"message", repair_description(diagnostic.repair)}};
}

ordered_json parsed_json(const ParsedStream& stream) {
  ordered_json json = {{"messages", ordered_json::array()}, {"diagnostics", ordered_json::array()}};
  for (const harmony::Message& message : stream.messages) {
    json["messages"].push_back(ordered_json::parse(message_to_json(message)));
  }
  for (const harmony::Diagnostic& diagnostic : stream.diagnostics) {
    json["diagnostics"].push_back(diagnostic_json(diagnostic));
  }
  if (stream.error) json["error"] = *stream.error;
  return json;
}

Result<ParsedStream> parsed(
    const Encoding& encoding, std::string_view input, const Options& options
) {
  GOSSAMER_ASSIGN_OR_RETURN(const Stream stream, read_stream(encoding, input, options));
  const ParseMode mode = options.strict ? ParseMode::kStrict : ParseMode::kLenient;
  return parse_stream(encoding, stream.tokens, {.mode = mode, .role = stream.role});
}

/// Calls f with each line of the input, and prints the line it returns. Errors are lines, too.
template <class F>
Status for_each_line(const F& f) {
  GOSSAMER_ASSIGN_OR_RETURN(const std::string input, read_stdin());
  std::string_view rest = input;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const Result<std::string> line = f(rest.substr(0, end));
    fmt::print("{}\n", line.ok() ? *line : error_json(line.error().message));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

Status render(const Options& options) {
  GOSSAMER_ASSIGN_OR_RETURN(const Encoding encoding, load_encoding(options));
  const auto render_one = [&](std::string_view json) -> Result<std::string> {
    std::string text;
    GOSSAMER_ASSIGN_OR_RETURN(const auto tokens, rendered(encoding, json, options, &text));
    if (!options.text) return tokens_json(tokens);
    return options.lines ? ordered_json{{"text", text}}.dump() : text;
  };
  if (options.lines) return for_each_line(render_one);
  GOSSAMER_ASSIGN_OR_RETURN(const std::string input, read_stdin());
  GOSSAMER_ASSIGN_OR_RETURN(const std::string output, render_one(input));
  // The text byte for byte, for programs; people get their prompt on a line of its own.
  const bool is_exact = options.text && !is_terminal(stdout);
  fmt::print("{}{}", output, is_exact ? "" : "\n");
  return {};
}

Status parse(const Options& options) {
  GOSSAMER_ASSIGN_OR_RETURN(const Encoding encoding, load_encoding(options));
  if (options.lines) {
    return for_each_line([&](std::string_view line) -> Result<std::string> {
      GOSSAMER_ASSIGN_OR_RETURN(const ParsedStream stream, parsed(encoding, line, options));
      return parsed_json(stream).dump();
    });
  }
  GOSSAMER_ASSIGN_OR_RETURN(const std::string input, read_stdin());
  GOSSAMER_ASSIGN_OR_RETURN(const ParsedStream stream, parsed(encoding, input, options));
  fmt::print("{}\n", parsed_json(stream).dump(is_terminal(stdout) ? 2 : -1));
  if (stream.error) return make_error(ErrorCode::kCorruptData, "{}", *stream.error);
  return {};
}

Status explain(const Options& options) {
  GOSSAMER_ASSIGN_OR_RETURN(const Encoding encoding, load_encoding(options));
  GOSSAMER_ASSIGN_OR_RETURN(const std::string input, read_stdin());
  Stream stream;
  if (is_conversation(input)) {
    GOSSAMER_ASSIGN_OR_RETURN(stream.tokens, rendered(encoding, input, options, nullptr));
  } else {
    GOSSAMER_ASSIGN_OR_RETURN(stream, read_stream(encoding, input, options));
  }
  fmt::print(
      "{}",
      harmony::explain(
          encoding,
          stream.tokens,
          {.role = stream.role, .colour = is_terminal(stdout), .tokens = options.tokens}
      )
  );
  return {};
}

CLI::App* add_action(
    CLI::App* parent,
    const char* name,
    const char* description,
    const char* footer,
    const std::shared_ptr<Options>& options
) {
  CLI::App* app = parent->add_subcommand(name, description);
  app->footer(footer);
  app->add_option(
      "-m,--model",
      options->model,
      "A checkpoint directory, whose tokenizer.json is used if it has one, or a tokenizer.json; "
      "default: the built-in o200k_harmony"
  );
  return app;
}

void add_role(CLI::App* app, const std::shared_ptr<Options>& options) {
  app->add_option(
      "--role", options->role, "Whose header the stream begins in: assistant, …, or none"
  );
}

void add_keep_analysis(CLI::App* app, const std::shared_ptr<Options>& options) {
  app->add_flag(
      "--keep-analysis",
      options->keep_analysis,
      "Keep the reasoning before earlier answers, which is left out by default"
  );
}

CLI::App* add_render(CLI::App* parent, const std::shared_ptr<Options>& options) {
  CLI::App* app = add_action(
      parent,
      "render",
      "A conversation (JSON on stdin) to the model's tokens.",
      kRenderFooter,
      options
  );
  auto* no_completion = app->add_flag(
      "--no-completion", options->no_completion, "Do not begin the assistant's next message"
  );
  app->add_flag(
         "--training", options->training, "End a final answer at the end in <|return|>, not <|end|>"
  )
      ->excludes(no_completion);
  add_keep_analysis(app, options);
  app->add_flag("--text", options->text, "Print text, with the special tokens written out");
  app->add_flag("-l,--lines", options->lines, "A conversation a line; errors become {\"error\":…}");
  return app;
}

CLI::App* add_parse(CLI::App* parent, const std::shared_ptr<Options>& options) {
  CLI::App* app = add_action(
      parent, "parse", "A token stream (stdin) to messages, as JSON.", kParseFooter, options
  );
  auto* strict = app->add_flag(
      "--strict", options->strict, "Refuse what the reference library refuses, in its words"
  );
  app->add_flag("--lenient", options->lenient, "Repair anything, and say what; the default")
      ->excludes(strict);
  add_role(app, options);
  app->add_flag("-l,--lines", options->lines, "A stream a line; errors become {\"error\":…}");
  return app;
}

CLI::App* add_explain(CLI::App* parent, const std::shared_ptr<Options>& options) {
  CLI::App* app = add_action(
      parent,
      "explain",
      "A token stream or conversation (stdin) as a readable view: who says what on which channel.",
      kExplainFooter,
      options
  );
  add_role(app, options);
  add_keep_analysis(app, options);
  app->add_flag("--tokens", options->tokens, "List every token");
  return app;
}

}  // namespace

Command add_harmony(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* app = program.add_subcommand(
      "harmony", "Render, parse and explain prompts in the models' message format."
  );
  app->require_subcommand(1);
  const CLI::App* render_app = add_render(app, options);
  const CLI::App* parse_app = add_parse(app, options);
  add_explain(app, options);
  return {app, [options, render_app, parse_app] {
            const Status status = render_app->parsed()  ? render(*options)
                                  : parse_app->parsed() ? parse(*options)
                                                        : explain(*options);
            return status.ok() ? 0 : fail(status.error().message);
          }};
}

}  // namespace gossamer::apps
