#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "api/responses_conversation.h"
#include "api/responses_stream.h"
#include "harmony/builtin_tools.h"
#include "harmony/renderer.h"
#include "stream_validator.h"
#include "turn_events.h"

// Replays what the reference server did: the same requests and tokens, the same meaning. Where the
// reference is known to be wrong, each test says what is different and why.
namespace gossamer::api {
namespace {

using Texts = std::vector<std::string>;
using Replacements = std::vector<std::pair<std::string, std::string>>;

/// A tool of the server that is only declared: the recordings hold what it answered.
class RecordedTool : public tools::Tool {
 public:
  explicit RecordedTool(harmony::ToolNamespace declaration)
      : declaration_(std::move(declaration)) {}
  const harmony::ToolNamespace& declaration() const override { return declaration_; }
  tools::ToolResult run(const harmony::Message&, std::stop_token) const override { return {}; }

 private:
  harmony::ToolNamespace declaration_;
};

Json recording(const std::string& name) {
  std::ifstream file(GOSSAMER_GOLDEN_DIR "/responses/" + name + ".json");
  GOSSAMER_CHECK(file.good());
  return Json::parse(file);
}

/// The request, with the effort that the reference takes by default.
ResponsesRequest request_of(Json body) {
  if (!body.contains("reasoning")) body["reasoning"] = {{"effort", "low"}};
  auto request = read_responses_request(body, {.model = "m", .server_namespaces = {}});
  GOSSAMER_CHECK(request.ok());
  return std::move(request).value();
}

std::string replaced(std::string text, const Replacements& replacements) {
  for (const auto& [from, to] : replacements) {
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    if (at != std::string::npos) text.replace(at, from.size(), to);
  }
  return text;
}

std::string prompt_of(
    const ResponsesRequest& request, std::span<const Json> items, const ServerTools& tools = {}
) {
  std::vector<std::string> warnings;
  const auto conversation =
      build_conversation(request, items, {.date = "2025-01-01", .tools = tools}, warnings);
  const harmony::Renderer renderer(o200k_encoding());
  const auto fragments = renderer.for_completion(
      conversation, harmony::Role::kAssistant, harmony::EarlierAnalysis::kDrop
  );
  return fragments.ok() ? renderer.text(*fragments) : fragments.error().message;
}

/// What an item says, without what differs from run to run.
std::string meaning_of(const Json& item) {
  const std::string type = text_member(item, "type");
  if (type == "message" || type == "reasoning") {
    return type + ": " + text_member(item["content"][0], "text");
  }
  if (type == "function_call") {
    return type + ": " + text_member(item, "name") + " " + text_member(item, "arguments");
  }
  if (type == "web_search_call") return type + ": " + text_member(item["action"], "type");
  return type + ": " + text_member(item, "code") + " -> " + text_member(item["outputs"][0], "logs");
}

Texts meanings_of(const Json& items) {
  Texts meanings;
  for (const Json& item : items) meanings.push_back(meaning_of(item));
  return meanings;
}

/// Types of events; those that repeat count once, and annotations, which come with the browser, not
/// at all.
void add_type(const std::string& type, Texts& types) {
  if (type == "response.output_text.annotation.added") return;
  if (types.empty() || types.back() != type) types.push_back(type);
}

Texts recorded_types(const Json& sse) {
  Texts types;
  for (const Json& event : sse) {
    const std::string text = event.get<std::string>();
    const std::size_t begin = std::string("event: ").size();
    add_type(text.substr(begin, text.find('\n') - begin), types);
  }
  return types;
}

struct Replay {
  Json recorded;
  Json response;
  Texts types;
};

Replay replay(
    const std::string& name,
    const Texts& results = {},
    chat::TurnEnd end = chat::TurnEnd::kAnswer,
    const std::optional<Texts>& segments = std::nullopt
) {
  Replay replay{.recorded = recording(name), .response = {}, .types = {}};
  Json body = replay.recorded["request"];
  if (!results.empty()) body.erase("tools");  // which this server does not have yet
  const ResponsesRequest request = request_of(body);
  ResponsesStream stream(request, {.created_at = 0, .tokenizer = o200k_encoding().tokenizer()});
  StreamValidator validator;
  const auto take = [&](const std::vector<StreamEvent>& events) {
    validator.take(events);
    for (const StreamEvent& event : events) add_type(event.type, replay.types);
  };
  take(stream.start());
  const Texts written = replay.recorded["model_output_segments"].get<Texts>();
  take(stream.push(events_of(segments.value_or(written), results)));
  take(stream.finish(end, {}, 0));
  EXPECT_EQ(validator.problem(), "");
  replay.response = stream.response();
  return replay;
}

void expect_prompt(const std::string& name, const Replacements& replacements = {}) {
  const Json recorded = recording(name);
  const ResponsesRequest request = request_of(recorded["request"]);
  EXPECT_EQ(
      prompt_of(request, request.input),
      replaced(recorded["prompts_given_to_model_at_new_request"][0], replacements)
  );
}

void expect_same(const std::string& name) {
  const Replay replayed = replay(name);
  EXPECT_EQ(
      meanings_of(replayed.response["output"]),
      meanings_of(replayed.recorded["non_stream_response"]["output"])
  );
  EXPECT_EQ(replayed.types, recorded_types(replayed.recorded["sse"]));
  EXPECT_EQ(replayed.response["status"].dump(), "\"completed\"");
}

TEST(ResponsesReplay, AnswersAreTheSame) {
  for (const char* name : {"simple", "reasoning", "debug", "history", "function_output"}) {
    SCOPED_TRACE(name);
    expect_same(name);
  }
}

TEST(ResponsesReplay, PromptsAreTheSame) {
  for (const char* name :
       {"simple", "reasoning", "debug", "function_call", "preamble", "max_output_tokens"}) {
    SCOPED_TRACE(name);
    expect_prompt(name);
  }
}

TEST(ResponsesReplay, APastCallSaysThatItsArgumentsAreJson) {
  expect_prompt(
      "function_output", {{"commentary<|message|>{", "commentary <|constrain|>json<|message|>{"}}
  );
}

TEST(ResponsesReplay, AMessageOfTwoPartsIsOneFinalMessageAndLaterRulesAreTheDevelopers) {
  expect_prompt(
      "history",
      {{"<|start|>assistant<|message|>b1<|end|><|start|>assistant<|channel|>final<|message|>b2",
        "<|start|>assistant<|channel|>final<|message|>b1\nb2"},
       {"<|start|>system<|message|>sys msg",
        "<|start|>developer<|message|># Instructions\n\nsys msg"}}
  );
}

TEST(ResponsesReplay, TheBrowserIsDeclaredTheSameWithoutAnEmptyDeveloperMessage) {
  const Json recorded = recording("web_search");
  Json body = recorded["request"];
  body.erase("tools");
  const ResponsesRequest request = request_of(body);
  const ServerTools tools = {std::make_shared<RecordedTool>(harmony::browser_tool("web"))};
  EXPECT_EQ(
      prompt_of(request, request.input, tools),
      replaced(
          recorded["prompts_given_to_model_at_new_request"][0],
          {{"<|start|>developer<|message|><|end|>", ""}}
      )
  );
}

TEST(ResponsesReplay, AChainContinuesTheSameConversation) {
  const Json recorded = recording("previous_response_id");
  const ResponsesRequest first = request_of(recorded["first"]);
  ResponsesStream stream(first, {.created_at = 0, .tokenizer = o200k_encoding().tokenizer()});
  (void)stream.push(events_of({"<|channel|>final<|message|>one<|return|>"}));
  (void)stream.finish(chat::TurnEnd::kAnswer, {}, 0);
  const EarlierResponse earlier{.response = stream.response(), .input = Json(first.input)};

  ResponsesRequest second = request_of(recorded["second"]);
  Items items = continue_chain({&earlier, 1}, second);
  items.insert(items.end(), second.input.begin(), second.input.end());
  EXPECT_EQ(prompt_of(second, items), recorded["second_prompt"].get<std::string>());
}

TEST(ResponsesReplay, ACallIsStreamedAndNotOnlyDone) {
  const Replay replayed = replay("function_call", {}, chat::TurnEnd::kFunctionCall);
  EXPECT_EQ(
      meanings_of(replayed.response["output"]),
      meanings_of(replayed.recorded["non_stream_response"]["output"])
  );
}

TEST(ResponsesReplay, APreambleIsNotLost) {
  const Replay replayed = replay("preamble", {}, chat::TurnEnd::kFunctionCall);
  Texts expected = meanings_of(replayed.recorded["non_stream_response"]["output"]);
  expected.insert(expected.begin(), "message: Plan: call it.");
  EXPECT_EQ(meanings_of(replayed.response["output"]), expected);
}

TEST(ResponsesReplay, TheLimitEndsTheItemAndTheResponseAsIncomplete) {
  const Replay replayed = replay(
      "max_output_tokens", {}, chat::TurnEnd::kLength, Texts{"<|channel|>final<|message|>one two"}
  );
  EXPECT_EQ(
      meanings_of(replayed.response["output"]),
      meanings_of(replayed.recorded["non_stream_response"]["output"])
  );
  EXPECT_EQ(replayed.response["status"].dump(), "\"incomplete\"");
  EXPECT_EQ(replayed.types.back(), "response.incomplete");
}

TEST(ResponsesReplay, CodeIsRunInTheSameOrder) {
  const Replay replayed = replay("code_interpreter", {"42\n"});
  EXPECT_EQ(
      meanings_of(replayed.response["output"]),
      meanings_of(replayed.recorded["non_stream_response"]["output"])
  );
  EXPECT_EQ(replayed.types, recorded_types(replayed.recorded["sse"]));
}

TEST(ResponsesReplay, SearchesAreShownInTheSameOrderWithOpenAisNames) {
  const Replay replayed = replay("web_search", {"page", "page", "page"});
  EXPECT_EQ(replayed.types, recorded_types(replayed.recorded["sse"]));
  Texts expected = meanings_of(replayed.recorded["non_stream_response"]["output"]);
  expected[3] = "web_search_call: find_in_page";
  expected[4] =
      "message: It is so【1†L3-L4】 and【0†L1】 ok【2†L0】.";  // citations stay as written
  EXPECT_EQ(meanings_of(replayed.response["output"]), expected);
}

}  // namespace
}  // namespace gossamer::api
