#include "api/responses_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "stream_validator.h"
#include "turn_events.h"

namespace gossamer::api {
namespace {

using chat::MessageKind;
using testing::ElementsAre;

const SealedReasoning& seal() {
  static const SealedReasoning seal({1, 2, 3});
  return seal;
}

ResponsesRequest request_of(const std::string& body) {
  auto json = parse_body(body);
  GOSSAMER_CHECK(json.ok());
  auto request =
      read_responses_request(*json, {.model = "gpt-oss-20b", .server_namespaces = {"clock"}});
  GOSSAMER_CHECK(request.ok());
  return std::move(request).value();
}

/// A response made of a turn's events, and what a client saw of it.
struct Made {
  std::vector<StreamEvent> events;
  StreamValidator validator;

  void take(std::vector<StreamEvent> more) {
    validator.take(more);
    events.insert(events.end(), more.begin(), more.end());
  }

  /// The types of the events, without "response.", those that repeat once.
  std::vector<std::string> types() const {
    std::vector<std::string> types;
    for (const StreamEvent& event : events) {
      const std::string type = event.type.substr(std::string("response.").size());
      if (types.empty() || types.back() != type) types.push_back(type);
    }
    return types;
  }
};

ResponsesStream stream_for(const ResponsesRequest& request) {
  return ResponsesStream(
      request, {.created_at = 100, .seal = &seal(), .tokenizer = o200k_encoding().tokenizer()}
  );
}

Made make(
    const std::string& body,
    const std::vector<chat::Event>& events,
    chat::TurnEnd end = chat::TurnEnd::kAnswer
) {
  ResponsesStream stream = stream_for(request_of(body));
  Made made;
  made.take(stream.start());
  made.take(stream.push(events));
  made.take(stream.finish(
      end, {.prompt_tokens = 10, .cached_tokens = 4, .output_tokens = 5, .reasoning_tokens = 2}, 200
  ));
  EXPECT_EQ(made.validator.problem(), "");
  EXPECT_EQ(made.validator.response().dump(), stream.response().dump());
  return made;
}

constexpr const char* kPlain = R"({"input":"x"})";

TEST(ResponsesStream, ReasoningAndAnAnswerComeInTheCanonicalOrder) {
  const Made made = make(
      kPlain,
      events_of(
          {"<|channel|>analysis<|message|>Simple sum.<|end|><|start|>assistant<|channel|>final"
           "<|message|>It is 4.<|return|>"}
      )
  );
  EXPECT_THAT(
      made.types(),
      ElementsAre(
          "created",
          "in_progress",
          "output_item.added",
          "content_part.added",
          "reasoning_text.delta",
          "reasoning_text.done",
          "content_part.done",
          "output_item.done",
          "output_item.added",
          "content_part.added",
          "output_text.delta",
          "output_text.done",
          "content_part.done",
          "output_item.done",
          "completed"
      )
  );
  const Json& response = made.validator.response();
  EXPECT_EQ(response["status"].dump(), "\"completed\"");
  EXPECT_EQ(
      response["output"][0]["content"].dump(), R"([{"type":"reasoning_text","text":"Simple sum."}])"
  );
  EXPECT_FALSE(response["output"][0].contains("encrypted_content"));
  EXPECT_EQ(
      response["output"][1]["content"].dump(),
      R"([{"type":"output_text","annotations":[],"logprobs":[],"text":"It is 4."}])"
  );
  EXPECT_EQ(response["output"][1]["phase"].dump(), "\"final_answer\"");
  EXPECT_EQ(
      response["usage"].dump(),
      R"({"input_tokens":10,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":0},)"
      R"("output_tokens":5,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":15})"
  );
  EXPECT_EQ(response["completed_at"], 200);
}

TEST(ResponsesStream, TheResponseRepeatsItsRequest) {
  const Made made = make(
      R"({"input":"x","model":"m","instructions":"i","temperature":0.5,"top_p":0.9,"metadata":{"a":"b"},
          "max_output_tokens":9,"parallel_tool_calls":false,"store":false,"truncation":"auto","user":"u",
          "reasoning":{"effort":"high","summary":"auto"},"text":{"verbosity":"low"},"tool_choice":"none",
          "previous_response_id":"resp_1","tools":[{"type":"function","name":"f"}]})",
      events_of({"<|channel|>final<|message|>y<|return|>"})
  );
  const Json& r = made.validator.response();
  const auto field = [&](const char* key) { return r[key].dump(); };
  EXPECT_EQ(field("model"), "\"m\"");
  EXPECT_EQ(field("instructions"), "\"i\"");
  EXPECT_EQ(field("temperature"), "0.5");
  EXPECT_EQ(field("top_p"), "0.9");
  EXPECT_EQ(field("metadata"), R"({"a":"b"})");
  EXPECT_EQ(field("max_output_tokens"), "9");
  EXPECT_EQ(field("parallel_tool_calls"), "false");
  EXPECT_EQ(field("store"), "false");
  EXPECT_EQ(field("truncation"), "\"auto\"");
  EXPECT_EQ(field("user"), "\"u\"");
  EXPECT_EQ(field("reasoning"), R"({"effort":"high","summary":"auto"})");
  EXPECT_EQ(field("text"), R"({"verbosity":"low","format":{"type":"text"}})");
  EXPECT_EQ(field("tool_choice"), "\"none\"");
  EXPECT_EQ(field("previous_response_id"), "\"resp_1\"");
  EXPECT_EQ(field("tools"), R"([{"type":"function","name":"f"}])");
}

TEST(ResponsesStream, APreambleIsAMessageOfItsOwnPhaseBeforeTheCall) {
  const Made made = make(
      R"({"input":"x","tools":[{"type":"function","name":"get weather"}]})",
      events_of(
          {"<|channel|>commentary<|message|>Plan.<|end|><|start|>assistant to=functions.get_weather"
           "<|channel|>commentary json<|message|>{}<|call|>"}
      ),
      chat::TurnEnd::kFunctionCall
  );
  const auto& items = made.validator.items();
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0]["phase"].dump(), "\"commentary\"");
  EXPECT_EQ(items[1]["name"].dump(), "\"get weather\"");
  EXPECT_EQ(items[1]["arguments"].dump(), "\"{}\"");
  EXPECT_EQ(items[1]["status"].dump(), "\"completed\"");
  EXPECT_FALSE(items[1].contains("namespace"));
}

TEST(ResponsesStream, NamespacesStandApartFromNames) {
  const Made made = make(
      R"({"input":"x","tools":[{"type":"namespace","name":"mcp__srv","tools":[{"type":"function","name":"lookup"}]}]})",
      events_of(
          {"<|channel|>commentary to=mcp__srv.lookup "
           "<|constrain|>json<|message|>{\"a\":1}<|call|>"},
          {},
          {"mcp__srv"}
      )
  );
  const Json& item = made.validator.items().at(0);
  EXPECT_EQ(item["name"].dump(), "\"lookup\"");
  EXPECT_EQ(item["namespace"].dump(), "\"mcp__srv\"");
  EXPECT_THAT(
      made.types(),
      ElementsAre(
          "created",
          "in_progress",
          "output_item.added",
          "function_call_arguments.delta",
          "function_call_arguments.done",
          "output_item.done",
          "completed"
      )
  );
}

TEST(ResponsesStream, ACustomToolIsGivenItsTextAsItComes) {
  const std::string body = R"({"input":"x","tools":[{"type":"custom","name":"apply_patch"}]})";
  for (const char* written :
       {R"({"input": "*** Begin Patch\n+é\ud83d\ude00"})", "*** Begin Patch\n+é😀"}) {
    const Made made = make(
        body,
        events_of(
            {std::string(
                 "<|channel|>commentary to=functions.apply_patch <|constrain|>json<|message|>"
             ) +
             written + "<|call|>"}
        )
    );
    const Json& item = made.validator.items().at(0);
    EXPECT_EQ(item["type"].dump(), "\"custom_tool_call\"");
    EXPECT_EQ(item["input"].get<std::string>(), "*** Begin Patch\n+é😀");
    EXPECT_THAT(
        made.types(),
        ElementsAre(
            "created",
            "in_progress",
            "output_item.added",
            "custom_tool_call_input.delta",
            "custom_tool_call_input.done",
            "output_item.done",
            "completed"
        )
    );
  }
}

TEST(ResponsesStream, ToolsOfTheServerAreMcpCalls) {
  const Made made = make(
      kPlain,
      events_of(
          {"<|channel|>commentary to=clock.now "
           "<|constrain|>json<|message|>{\"zone\":\"UTC\"}<|call|>",
           "<|channel|>final<|message|>Noon.<|return|>"},
          {"12:00"}
      )
  );
  EXPECT_THAT(
      made.types(),
      ElementsAre(
          "created",
          "in_progress",
          "output_item.added",
          "mcp_call.in_progress",
          "mcp_call_arguments.delta",
          "mcp_call_arguments.done",
          "mcp_call.completed",
          "output_item.done",
          "output_item.added",
          "content_part.added",
          "output_text.delta",
          "output_text.done",
          "content_part.done",
          "output_item.done",
          "completed"
      )
  );
  const Json& item = made.validator.items().at(0);
  EXPECT_EQ(item["server_label"].dump(), "\"clock\"");
  EXPECT_EQ(item["name"].dump(), "\"now\"");
  EXPECT_EQ(item["output"].dump(), "\"12:00\"");
  EXPECT_TRUE(item["error"].is_null());
}

TEST(ResponsesStream, AFailedToolSaysWhy) {
  const Made made = make(
      kPlain,
      {chat::MessageStarted{0, MessageKind::kToolCall, "clock"},
       chat::TextAdded{0, "{}", {}},
       chat::MessageEnded{0, true},
       chat::ToolFinished{0, "no such zone", true}}
  );
  const Json& item = made.validator.items().at(0);
  EXPECT_EQ(item["status"].dump(), "\"failed\"");
  EXPECT_EQ(item["error"]["content"][0]["text"].dump(), "\"no such zone\"");
  EXPECT_TRUE(item["output"].is_null());
  EXPECT_EQ(made.types()[6], "mcp_call.failed");
}

TEST(ResponsesStream, WhatAToolAnswersMayBeAnyBytes) {
  const Made made = make(
      kPlain,
      {chat::MessageStarted{0, MessageKind::kToolCall, "clock"},
       chat::MessageEnded{0, true},
       chat::ToolFinished{0, "a\xff", false}}
  );
  EXPECT_EQ(made.validator.items().at(0)["output"].dump(), "\"a\uFFFD\"");
}

TEST(ResponsesStream, WhatTheLimitCutsIsDoneButIncomplete) {
  for (const char* cut :
       {"<|channel|>final<|message|>one two",
        "<|channel|>analysis<|message|>one two",
        "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\":",
        "<|channel|>commentary to=clock.now <|constrain|>json<|message|>{\"a\":"}) {
    const Made made = make(kPlain, events_of({cut}), chat::TurnEnd::kLength);
    const Json& response = made.validator.response();
    EXPECT_EQ(response["status"].dump(), "\"incomplete\"");
    EXPECT_EQ(response["incomplete_details"].dump(), R"({"reason":"max_output_tokens"})");
    EXPECT_EQ(made.validator.items().at(0)["status"].dump(), "\"incomplete\"") << cut;
    EXPECT_EQ(made.types().back(), "incomplete");
  }
}

TEST(ResponsesStream, ACallWithoutArgumentsHasAnEmptyObject) {
  const Made made = make(
      kPlain,
      {chat::MessageStarted{0, MessageKind::kFunctionCall, "functions.f"},
       chat::MessageEnded{0, true}}
  );
  EXPECT_EQ(made.validator.items().at(0)["arguments"].dump(), "\"{}\"");
}

TEST(ResponsesStream, AThoughtWithoutAWordIsNoItemButAnEmptyAnswerIs) {
  const Made made = make(
      kPlain,
      {chat::MessageStarted{0, MessageKind::kReasoning, ""},
       chat::MessageEnded{0, true},
       chat::MessageStarted{1, MessageKind::kAnswer, ""},
       chat::MessageEnded{1, true}}
  );
  ASSERT_EQ(made.validator.items().size(), 1U);
  EXPECT_EQ(made.validator.items()[0]["type"].dump(), "\"message\"");
}

TEST(ResponsesStream, ReasoningIsSealedWhenAskedFor) {
  const Made made = make(
      R"({"input":"x","include":["reasoning.encrypted_content","whatever"]})",
      events_of({"<|channel|>analysis<|message|>secret<|end|>"})
  );
  const std::string blob = made.validator.items().at(0)["encrypted_content"].get<std::string>();
  EXPECT_EQ(seal().open(blob), "secret");
}

TEST(ResponsesStream, LogprobsComeWhenAskedFor) {
  const Made made = make(
      R"({"input":"x","include":["message.output_text.logprobs"],"top_logprobs":1})",
      events_of({"<|channel|>final<|message|>é b<|return|>"})
  );
  const Json& logprobs = made.validator.items().at(0)["content"][0]["logprobs"];
  ASSERT_EQ(logprobs.size(), 2U);
  EXPECT_EQ(
      logprobs[0].dump(),
      R"({"token":"é","bytes":[195,169],"logprob":-0.5,)"
      R"("top_logprobs":[{"token":"é","bytes":[195,169],"logprob":-0.5}]})"
  );
}

TEST(ResponsesStream, AFailureEndsWhatIsOpenAndNamesItself) {
  ResponsesStream stream = stream_for(request_of(kPlain));
  Made made;
  made.take(stream.start());
  made.take(stream.push(events_of({"<|channel|>final<|message|>half"})));
  made.take(stream.fail({.code = "context_length_exceeded", .message = "too long"}, {}));
  EXPECT_EQ(made.validator.problem(), "");
  EXPECT_EQ(made.types().back(), "failed");
  EXPECT_EQ(
      made.validator.response()["error"].dump(),
      R"({"code":"context_length_exceeded","message":"too long"})"
  );
}

TEST(ResponsesStream, ACancelledResponseEndsWithAnEventThatClientsKnow) {
  ResponsesStream stream = stream_for(request_of(kPlain));
  Made made;
  made.take(stream.start());
  made.take(stream.cancel({}));
  EXPECT_EQ(made.validator.problem(), "");
  EXPECT_EQ(made.types().back(), "incomplete");
  EXPECT_EQ(stream.response()["status"].dump(), "\"cancelled\"");
}

TEST(ResponsesStream, EventsHaveTheirTypeAndCompactData) {
  ResponsesStream stream = stream_for(request_of(kPlain));
  const StreamEvent event = stream.start().front();
  EXPECT_EQ(event.type, "response.created");
  EXPECT_TRUE(event.data.starts_with("{\"type\":\"response.created\",\"sequence_number\":0,"));
  EXPECT_TRUE(event.data.ends_with("}"));
  EXPECT_EQ(std::count(event.data.begin(), event.data.end(), '\n'), 0);
}

/// Random turns: any kinds of messages, cut or whole, with signs of life between, ended in any way.
class RandomTurn {
 public:
  explicit RandomTurn(unsigned seed) : random_(seed) {}

  void run(ResponsesStream& stream, Made& made) {
    made.take(stream.start());
    const std::size_t num_messages = pick(6);
    for (std::size_t message = 0; message < num_messages; ++message) {
      if (!add_message(stream, made, message)) break;
      if (pick(3) == 0) made.take(stream.heartbeat());
    }
    const std::size_t way = pick(4);
    if (way == 0) made.take(stream.fail({.message = "x"}, {}));
    if (way == 1) made.take(stream.cancel({}));
    if (way == 2) made.take(stream.finish(chat::TurnEnd::kLength, {}, 1));
    if (way == 3) made.take(stream.finish(chat::TurnEnd::kAnswer, {}, 1));
  }

 private:
  std::size_t pick(std::size_t count) { return random_() % count; }

  std::string random_text() {
    const char* pieces[] = {
        "a",
        "{",
        "\"",
        "\\",
        "input",
        "{\"input\":\"",
        "é",
        "😀",
        " ",
        "\n",
        "}",
        "\\u00e9",
        "\\ud83d"};
    return pieces[pick(std::size(pieces))];
  }

  /// False when the turn was cut inside the message.
  bool add_message(ResponsesStream& stream, Made& made, std::size_t message) {
    const char* recipients[] = {
        "functions.f", "functions.c", "ns.g", "unheard.of", "functions.zzz"};
    const char* tools[] = {"clock.now", "browser.search", "browser.open", "browser.find", "python"};
    const auto kind = static_cast<MessageKind>(pick(5));
    std::string recipient;
    if (kind == MessageKind::kFunctionCall) recipient = recipients[pick(5)];
    if (kind == MessageKind::kToolCall) recipient = tools[pick(5)];
    push(stream, made, chat::MessageStarted{message, kind, recipient});
    for (std::size_t n = pick(8); n > 0; --n) {
      const auto token = static_cast<TokenId>(pick(1000));
      push(
          stream,
          made,
          chat::TextAdded{message, random_text(), {{.token = token, .logprob = -1, .top = {}}}}
      );
      if (pick(8) == 0) made.take(stream.heartbeat());
    }
    if (pick(6) == 0) return false;
    const bool is_complete = pick(5) != 0;
    push(stream, made, chat::MessageEnded{message, is_complete});
    if (!is_complete || kind != MessageKind::kToolCall) return is_complete;
    if (pick(5) == 0) return false;
    push(stream, made, chat::ToolFinished{message, random_text(), pick(2) == 0});
    return true;
  }

  static void push(ResponsesStream& stream, Made& made, const chat::Event& event) {
    made.take(stream.push({&event, 1}));
  }

  std::mt19937 random_;
};

TEST(ResponsesStream, AnyTurnIsAStreamThatTheStrictestClientAccepts) {
  const ResponsesRequest request = request_of(
      R"({"input":"x","include":["reasoning.encrypted_content","message.output_text.logprobs"],"tools":[
          {"type":"function","name":"f"},{"type":"custom","name":"c"},
          {"type":"namespace","name":"ns","tools":[{"type":"function","name":"g"}]}]})"
  );
  for (unsigned seed = 0; seed < 3000; ++seed) {
    ResponsesStream stream = stream_for(request);
    Made made;
    RandomTurn(seed).run(stream, made);
    ASSERT_EQ(made.validator.problem(), "") << "seed " << seed;
    ASSERT_EQ(stream.response().dump(), made.validator.response().dump());
  }
}

}  // namespace
}  // namespace gossamer::api
