#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "apps/gossamer/command.h"
#include "apps/gossamer/text_input.h"
#include "base/result.h"
#include "base/terminal.h"
#include "base/token_id.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/utf8.h"

namespace gossamer::apps {
namespace {

using tokenizer::Tokenizer;

constexpr const char* kExamples =
    R"(Text is a document; documents come from the arguments (joined by spaces) or, without any, from stdin,
byte for byte. Text never becomes a special token such as <|start|> unless --specials is given. Bytes
that are not UTF-8 are read as U+FFFD.

Examples:
  gossamer tokenize "hello world"                  24912 2375
  gossamer tokenize --count < book.txt             how many tokens a file has
  gossamer tokenize --show "Größe: 10 km"          where the token boundaries are
  gossamer tokenize --decode 24912 2375            hello world
  gossamer tokenize --json < a.txt | gossamer tokenize --decode | cmp - a.txt
  gossamer tokenize --lines --count < prompts.txt  a count for each line
  printf 'two\nlines\0one' | gossamer tokenize --null --json
)";

struct Options {
  std::string model;
  std::vector<std::string> words;
  bool decode = false;
  bool json = false;
  bool count = false;
  bool show = false;
  bool specials = false;
  bool lines = false;
  bool null = false;
};

std::string join(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

/// Calls f with each document of the input; stops at the first error.
template <class F>
Status for_each_document(std::string_view input, const Options& options, F f) {
  if (!options.lines && !options.null) return f(input);
  const char separator = options.null ? '\0' : '\n';
  while (!input.empty()) {
    const std::size_t end = std::min(input.find(separator), input.size());
    GOSSAMER_RETURN_IF_ERROR(f(input.substr(0, end)));
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  return {};
}

Result<std::vector<TokenId>> parse_json_ids(std::string_view text) {
  const auto document = nlohmann::json::parse(text, nullptr, false);
  const auto tokens = document.is_object() ? document.value("tokens", nlohmann::json()) : document;
  std::vector<TokenId> ids;
  for (const auto& id : tokens.is_array() ? tokens : nlohmann::json::array({nullptr})) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > 0xFFFFFFFF) {
      return make_error(
          ErrorCode::kInvalidArgument,
          "the JSON to decode is not {{\"tokens\":[ids]}} or [ids], as --json prints"
      );
    }
    ids.push_back(id.get<TokenId>());
  }
  return ids;
}

/// Ids in decimal, separated by whitespace or commas, or the JSON that --json prints.
Result<std::vector<TokenId>> parse_ids(std::string_view text) {
  const auto is_separator = [](char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0 || c == ',';
  };
  std::vector<TokenId> ids;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (;;) {
    while (at != end && is_separator(*at)) ++at;
    if (at == end) return ids;
    if (ids.empty() && (*at == '{' || *at == '[')) return parse_json_ids(text);
    TokenId id = 0;
    const auto [stop, code] = std::from_chars(at, end, id);
    if (code != std::errc() || (stop != end && !is_separator(*stop))) {
      const char* const word_end = std::find_if(at, end, is_separator);
      return make_error(
          ErrorCode::kInvalidArgument,
          "\"{}\" is not a token id",
          std::string_view(at, static_cast<std::size_t>(word_end - at))
      );
    }
    ids.push_back(id);
    at = stop;
  }
}

/// A token's bytes for people: a newline shows as ↵ too, and what is no printable UTF-8 as \xNN.
std::string visible(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const auto sequence = tokenizer::first_utf8_sequence(bytes);
    const auto byte = static_cast<unsigned char>(bytes[0]);
    if (byte == '\n') {
      text += "↵\n";
    } else if (sequence.kind != tokenizer::Utf8Sequence::Kind::kValid || (byte < 0x20 && byte != '\t') || byte == 0x7F) {
      for (const char c : bytes.substr(0, sequence.length)) {
        text += fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
      }
    } else {
      text += bytes.substr(0, sequence.length);
    }
    bytes.remove_prefix(sequence.length);
  }
  return text;
}

/// The document's text with its token boundaries: alternating colours, or bars without colour.
void append_shown(
    const Tokenizer& tokenizer, const std::vector<TokenId>& ids, bool colour, std::string& out
) {
  constexpr Style kStyles[] = {Style::kCyan, Style::kYellow, Style::kMagenta, Style::kGreen};
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i > 0 && !colour) out += '|';
    const Style style = kStyles[i % std::size(kStyles)];
    out += styled(visible(tokenizer.bytes_of(ids[i]).value_or("")), style, colour);
  }
  const auto summary = fmt::format("{} token{}", ids.size(), ids.size() == 1 ? "" : "s");
  out += '\n' + styled(summary, Style::kDim, colour) + '\n';
}

void append_encoded(
    const Tokenizer& tokenizer, std::string_view text, const Options& options, std::string& out
) {
  const std::vector<TokenId> ids =
      options.specials ? tokenizer.encode_with_specials(text) : tokenizer.encode_ordinary(text);
  if (options.count) {
    fmt::format_to(std::back_inserter(out), "{}\n", ids.size());
  } else if (options.json) {
    fmt::format_to(std::back_inserter(out), "{{\"tokens\":[{}]}}\n", fmt::join(ids, ","));
  } else if (options.show) {
    append_shown(tokenizer, ids, is_terminal(stdout), out);
  } else {
    fmt::format_to(std::back_inserter(out), "{}\n", fmt::join(ids, " "));
  }
}

Status append_decoded(
    const Tokenizer& tokenizer, std::string_view text, const Options& options, std::string& out
) {
  GOSSAMER_ASSIGN_OR_RETURN(const std::vector<TokenId> ids, parse_ids(text));
  GOSSAMER_ASSIGN_OR_RETURN(const std::string bytes, tokenizer.decode_bytes(ids));
  out += bytes;
  if (options.null) out += '\0';
  if (options.lines) out += '\n';
  // Byte for byte for programs; people get a prompt on a line of its own.
  if (!options.null && !out.ends_with('\n') && is_terminal(stdout)) out += '\n';
  return {};
}

Status write_stdout(std::string& out) {
  const std::size_t written = std::fwrite(out.data(), 1, out.size(), stdout);
  if (written != out.size() || std::fflush(stdout) != 0) {
    return make_error(ErrorCode::kIo, "stdout: cannot write");
  }
  out.clear();
  return {};
}

Status tokenize(const Options& options) {
  GOSSAMER_ASSIGN_OR_RETURN(const Tokenizer tokenizer, load_tokenizer(options.model));
  std::string input = join(options.words);
  if (options.words.empty()) {
    GOSSAMER_ASSIGN_OR_RETURN(input, read_stdin());
  }
  std::string out;
  const auto run_document = [&](std::string_view document) -> Status {
    if (options.decode) {
      GOSSAMER_RETURN_IF_ERROR(append_decoded(tokenizer, document, options, out));
    } else {
      append_encoded(tokenizer, document, options, out);
    }
    constexpr std::size_t kFlushBytes = 1 << 16;
    return out.size() < kFlushBytes ? Status() : write_stdout(out);
  };
  GOSSAMER_RETURN_IF_ERROR(for_each_document(input, options, run_document));
  return write_stdout(out);
}

}  // namespace

Command add_tokenize(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* app = program.add_subcommand("tokenize", "Text to token ids, and back.");
  app->add_option("text", options->words, "The text, or with --decode the ids; default: stdin");
  app->add_option(
      "-m,--model",
      options->model,
      "A checkpoint directory, whose tokenizer.json is used if it has one, or a tokenizer.json; "
      "default: the built-in o200k_harmony"
  );
  auto* decode =
      app->add_flag("-d,--decode", options->decode, "Ids, or the output of --json, to text");
  auto* json =
      app->add_flag("--json", options->json, "Print {\"tokens\":[ids]}, a line a document");
  auto* count = app->add_flag("-c,--count", options->count, "Print only the number of tokens");
  auto* show = app->add_flag("--show", options->show, "Print the text with its token boundaries");
  auto* specials = app->add_flag(
      "--specials", options->specials, "Let special tokens in the text, like <|start|>, be tokens"
  );
  auto* lines = app->add_flag("-l,--lines", options->lines, "Each line of the input is a document");
  auto* null =
      app->add_flag("-0,--null", options->null, "Documents end with a NUL byte, not a line");
  for (auto* flag : {json, count, show, specials}) decode->excludes(flag);
  json->excludes(count)->excludes(show);
  count->excludes(show);
  lines->excludes(null);
  app->footer(kExamples);
  return {app, [options] {
            const Status status = tokenize(*options);
            return status.ok() ? 0 : fail(status.error().message);
          }};
}

}  // namespace gossamer::apps
