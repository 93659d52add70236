#include "bench/server/stream_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gossamer::load {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;
using testing::Pair;

/// Names and data.
using Events = std::vector<std::pair<std::string, std::string>>;

Events read(std::initializer_list<std::string_view> pieces) {
  Events events;
  EventReader reader([&](const Event& event) { events.emplace_back(event.name, event.data); });
  for (const std::string_view piece : pieces) reader.push(piece);
  return events;
}

TEST(EventReader, AnEventHasANameAndData) {
  EXPECT_THAT(
      read({"event: response.created\ndata: {}\n\n"}), ElementsAre(Pair("response.created", "{}"))
  );
}

TEST(EventReader, ANameIsOneEventsOnly) {
  EXPECT_THAT(
      read({"event: a\ndata: 1\n\ndata: 2\n\nevent: b\n\ndata: 3\n\n"}),
      ElementsAre(Pair("a", "1"), Pair("", "2"), Pair("", "3"))
  );
}

TEST(EventReader, LinesOfDataAreJoined) {
  EXPECT_THAT(read({"data: a\ndata:\nevent: x\ndata: b\n\n"}), ElementsAre(Pair("x", "a\n\nb")));
}

TEST(EventReader, OneSpaceBehindTheColonIsNotOfTheValue) {
  EXPECT_THAT(
      read({"data:a: b\n\ndata: a:b\n\ndata:  a \n\n"}),
      ElementsAre(Pair("", "a: b"), Pair("", "a:b"), Pair("", " a "))
  );
}

TEST(EventReader, EmptyDataIsStillAnEvent) {
  EXPECT_THAT(read({"data:\n\ndata\n\n"}), ElementsAre(Pair("", ""), Pair("", "")));
}

TEST(EventReader, WithoutDataThereIsNoEvent) {
  EXPECT_THAT(read({"\n\nevent: a\n\nevent\n\n\n"}), IsEmpty());
}

TEST(EventReader, CommentsAndOtherFieldsAreSkipped) {
  EXPECT_THAT(
      read({": working\n\n:\nid: 7\ndata: 1\n:data: 2\nretry: 3\ndata2: 4\n data: 5\n\n"}),
      ElementsAre(Pair("", "1"))
  );
}

TEST(EventReader, LinesMayEndInCarriageReturnAndLineFeed) {
  EXPECT_THAT(
      read({"event: a\r\ndata: 1\r\ndata: 2\n\r\ndata: 3\r\n\n"}),
      ElementsAre(Pair("a", "1\n2"), Pair("", "3"))
  );
}

TEST(EventReader, AnEventIsOneOnceItEnds) {
  Events events;
  EventReader reader([&](const Event& event) { events.emplace_back(event.name, event.data); });
  reader.push("data: 1\n\ndata: 2\n");
  EXPECT_THAT(events, ElementsAre(Pair("", "1")));
  reader.push("\n");
  EXPECT_THAT(events, ElementsAre(Pair("", "1"), Pair("", "2")));
}

TEST(EventReader, AStreamMayBeCutAnywhere) {
  const std::string_view stream =
      ": hi\n\nevent: a\r\ndata: \xe2\x82\xac\r\ndata: 2\r\n\r\ndata:\n\ndata: [DONE]\n\n";
  const Events whole = read({stream});
  ASSERT_THAT(whole, ElementsAre(Pair("a", "\xe2\x82\xac\n2"), Pair("", ""), Pair("", "[DONE]")));
  for (std::size_t begin = 0; begin <= stream.size(); ++begin) {
    for (std::size_t end = begin; end <= stream.size(); ++end) {
      const auto middle = stream.substr(begin, end - begin);
      EXPECT_EQ(read({stream.substr(0, begin), middle, stream.substr(end)}), whole)
          << "cut at " << begin << " and " << end;
    }
  }
}

struct Told {
  bool is_text;
  Outcome outcome;
};

Told take(const Event& event) {
  Told told{};
  told.is_text = take_event(event, told.outcome);
  return told;
}

bool is_text(const Event& event) {
  return take(event).is_text;
}

std::optional<std::int64_t> output_tokens(const Event& event) {
  return take(event).outcome.output_tokens;
}

/// An event that has nothing to tell.
void expect_nothing(const Event& event) {
  const Told told = take(event);
  EXPECT_FALSE(told.is_text) << event.data;
  EXPECT_EQ(told.outcome.output_tokens, std::nullopt) << event.data;
  EXPECT_EQ(told.outcome.failure, "") << event.data;
}

Event chunk(std::string_view data) {
  return {.name = "", .data = data};
}

TEST(TakeEvent, ContentReasoningAndCallsOfAChunkAreText) {
  EXPECT_TRUE(is_text(chunk(R"({"choices":[{"index":0,"delta":{"content":"a"}}]})")));
  EXPECT_TRUE(is_text(chunk(R"({"choices":[{"delta":{"content":"\"a"}}],"usage":null})")));
  EXPECT_TRUE(is_text(chunk(R"({"choices":[{"delta":{"reasoning":"a","content":null}}]})")));
  EXPECT_TRUE(is_text(chunk(R"({"choices":[{"delta":{"role":"assistant","content":"a"}}]})")));
  EXPECT_TRUE(is_text(chunk(R"({"choices":[{"delta":{"role":"assistant","reasoning":"a"}}]})")));
  EXPECT_TRUE(is_text(chunk(R"({"choices":[{"delta":{"tool_calls":[{"index":0}]}}]})")));
  EXPECT_TRUE(is_text(chunk(R"({ "choices" : [ { "delta" : { "content" : "a" } } ] })")));
}

TEST(TakeEvent, AnyOfTheChoicesMayHaveText) {
  EXPECT_TRUE(is_text(chunk(R"({"choices":[{"delta":{}},{"delta":{"content":"a"}}]})")));
}

TEST(TakeEvent, ARoleOrAnEndIsNoText) {
  expect_nothing(chunk(R"({"choices":[{"delta":{"role":"assistant","content":""}}]})"));
  expect_nothing(chunk(R"({"choices":[{"delta":{"content":"","reasoning":null}}]})"));
  expect_nothing(chunk(R"({"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null})"));
  expect_nothing(chunk(R"({"choices":[]})"));
}

TEST(TakeEvent, UsageOfAChunkTellsTheTokens) {
  const Told told = take(chunk(R"({"choices":[],"usage":{"completion_tokens":7}})"));
  EXPECT_FALSE(told.is_text);
  EXPECT_THAT(told.outcome.output_tokens, Optional(7));
  EXPECT_EQ(told.outcome.failure, "");
}

TEST(TakeEvent, UsageMayComeWithText) {
  const Told told =
      take(chunk(R"({"choices":[{"delta":{"content":"a"}}],"usage" : {"completion_tokens":7}})"));
  EXPECT_TRUE(told.is_text);
  EXPECT_THAT(told.outcome.output_tokens, Optional(7));
}

TEST(TakeEvent, TextThatSpeaksOfUsageAndErrorsIsText) {
  const Told told = take(chunk(
      R"({"choices":[{"delta":{"content":"{\"usage\": {\"completion_tokens\": 7}, \"error\": 1}"}}]})"
  ));
  EXPECT_TRUE(told.is_text);
  EXPECT_EQ(told.outcome.output_tokens, std::nullopt);
  EXPECT_EQ(told.outcome.failure, "");
}

TEST(TakeEvent, DoneTellsNothing) {
  expect_nothing(chunk("[DONE]"));
}

TEST(TakeEvent, AnErrorInTheStreamIsTheFailure) {
  const std::string_view data = R"({"error":{"message":"the device failed","code":null}})";
  const Told told = take(chunk(data));
  EXPECT_FALSE(told.is_text);
  EXPECT_EQ(told.outcome.failure, data);
}

TEST(TakeEvent, AnErrorMayComeWithText) {
  const std::string_view data = R"({"choices":[{"delta":{"content":"a"}}],"error":"late"})";
  EXPECT_EQ(take(chunk(data)).outcome.failure, data);
}

TEST(TakeEvent, DeltasOfAResponseAreText) {
  for (const std::string type :
       {"response.output_text.delta",
        "response.reasoning_text.delta",
        "response.function_call_arguments.delta"}) {
    const std::string data = R"({"type":")" + type + R"(","delta":"a"})";
    EXPECT_TRUE(is_text({.name = type, .data = data}));
    EXPECT_TRUE(is_text({.name = "", .data = data})) << "a name is not needed";
  }
}

TEST(TakeEvent, OtherEventsOfAResponseTellNothing) {
  for (const std::string type : {"response.created", "response.output_text.done"}) {
    const std::string data =
        R"({"type":")" + type + R"(","response":{"error":null,"usage": null},"text":"a"})";
    expect_nothing({.name = type, .data = data});
    expect_nothing({.name = "", .data = data});
  }
}

TEST(TakeEvent, TheEndOfAResponseTellsTheTokens) {
  for (const std::string type : {"response.completed", "response.incomplete"}) {
    const std::string data =
        R"({"type":")" + type + R"(","response":{"error":null,"usage":{"output_tokens":7}}})";
    EXPECT_THAT(output_tokens({.name = type, .data = data}), Optional(7));
    EXPECT_THAT(output_tokens({.name = "", .data = data}), Optional(7));
    EXPECT_EQ(take({.name = type, .data = data}).outcome.failure, "");
  }
}

TEST(TakeEvent, AResponseThatFailedIsTheFailure) {
  for (const std::string_view error : {"null", R"({"code":"server_error"})"}) {
    const std::string data = R"({"type":"response.failed","response":{"error":)" +
                             std::string(error) + R"(,"usage":{"output_tokens":7}}})";
    const Told told = take({.name = "response.failed", .data = data});
    EXPECT_EQ(told.outcome.failure, data);
    EXPECT_THAT(told.outcome.output_tokens, Optional(7));
  }
}

TEST(TakeEvent, AnErrorEventOfAResponseIsTheFailure) {
  const std::string_view data = R"({"type":"error","code":"server_error","message":"late"})";
  EXPECT_EQ(take({.name = "error", .data = data}).outcome.failure, data);
  EXPECT_EQ(take({.name = "", .data = data}).outcome.failure, data);
  EXPECT_FALSE(is_text({.name = "error", .data = data}));
}

TEST(TakeEvent, WhatWasToldStays) {
  Outcome outcome;
  take_event(chunk(R"({"error":"late","usage":{"completion_tokens":7}})"), outcome);
  take_event(chunk(R"({"choices":[],"usage":null})"), outcome);
  take_event(chunk("[DONE]"), outcome);
  EXPECT_NE(outcome.failure, "");
  EXPECT_THAT(outcome.output_tokens, Optional(7));
}

TEST(TakeEvent, WhatNoEventIsThrows) {
  for (const std::string_view data :
       {"",
        "{",
        "7",
        "[1]",
        R"({"type":7})",
        R"({"choices":[{}]})",
        R"({"choices":["a"]})",
        R"({"usage":7})",
        R"({"usage":{"completion_tokens":"many"}})"}) {
    EXPECT_THROW(take(chunk(data)), nlohmann::json::exception) << data;
  }
}

}  // namespace
}  // namespace gossamer::load
