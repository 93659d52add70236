#include "turn_events.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"
#include "harmony/stream_parser.h"

namespace gossamer::api {
namespace {

bool is_client_call(const std::string& recipient, const std::vector<std::string>& functions) {
  return recipient.starts_with("functions.") ||
         std::any_of(functions.begin(), functions.end(), [&](const std::string& function) {
           return recipient.starts_with(function);
         });
}

chat::MessageKind kind_of(
    const harmony::Message& message, const std::vector<std::string>& functions
) {
  if (message.recipient) {
    return is_client_call(*message.recipient, functions) ? chat::MessageKind::kFunctionCall
                                                         : chat::MessageKind::kToolCall;
  }
  if (message.channel == "analysis") return chat::MessageKind::kReasoning;
  return message.channel == "commentary" ? chat::MessageKind::kPreamble
                                         : chat::MessageKind::kAnswer;
}

}  // namespace

const harmony::Encoding& o200k_encoding() {
  static const harmony::Encoding encoding = [] {
    auto tokenizer = tokenizer::Tokenizer::o200k_harmony();
    GOSSAMER_CHECK(tokenizer.ok());
    auto made = harmony::Encoding::create(std::move(tokenizer).value());
    GOSSAMER_CHECK(made.ok());
    return std::move(made).value();
  }();
  return encoding;
}

std::vector<chat::Event> events_of(
    const std::vector<std::string>& segments,
    const std::vector<std::string>& results,
    const std::vector<std::string>& functions
) {
  std::vector<chat::Event> events;
  std::size_t first = 0;
  std::size_t num_results = 0;
  for (const std::string& segment : segments) {
    harmony::StreamParser parser(o200k_encoding(), {.role = harmony::Role::kAssistant});
    const auto take = [&](std::span<const harmony::ParseEvent> parsed,
                          const engine::SampledToken& token) {
      for (const harmony::ParseEvent& event : parsed) {
        const std::size_t message = first + parser.messages().size() - 1;
        if (const auto* started = std::get_if<harmony::MessageStarted>(&event)) {
          const harmony::Message& begun = parser.messages()[started->message];
          events.emplace_back(chat::MessageStarted{
              message, kind_of(begun, functions), begun.recipient.value_or("")});
        } else if (const auto* text = std::get_if<harmony::TextAdded>(&event)) {
          events.emplace_back(chat::TextAdded{message, text->text, {token}});
        } else if (const auto* ended = std::get_if<harmony::MessageEnded>(&event)) {
          events.emplace_back(chat::MessageEnded{message, ended->stop.has_value()});
        }
      }
    };
    for (const TokenId token : o200k_encoding().tokenizer().encode_with_specials(segment)) {
      take(parser.push(token), {.token = token, .logprob = -0.5, .top = {{token, -0.5}}});
    }
    take(parser.finish(), {});
    first += parser.messages().size();
    const bool is_tool_call = segment.ends_with("<|call|>") && num_results < results.size();
    if (is_tool_call) {
      events.emplace_back(chat::ToolFinished{first - 1, results[num_results++], false});
    }
  }
  return events;
}

}  // namespace gossamer::api
