#include "tools/clock_tool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

namespace gossamer::tools {
namespace {

using testing::HasSubstr;

// 2024-03-31 00:30:00 UTC, half an hour before the clocks of central Europe go forward.
constexpr std::chrono::system_clock::time_point kTime{std::chrono::seconds(1711845000)};

ToolResult ask(const std::string& arguments, std::chrono::minutes later = {}) {
  harmony::Message call = harmony::Message::of_text(harmony::Role::kAssistant, arguments);
  call.recipient = "clock.now";
  return ClockTool([later] { return kTime + later; }).run(call, {});
}

std::string datetime(const std::string& arguments, std::chrono::minutes later = {}) {
  const ToolResult result = ask(arguments, later);
  EXPECT_FALSE(result.failed) << result.output;
  return nlohmann::json::parse(result.output)["datetime"];
}

TEST(ClockToolTest, TellsDateTimeAndWeekdayInUtcUnlessAskedOtherwise) {
  const ToolResult result = ask("{}");
  EXPECT_FALSE(result.failed);
  EXPECT_EQ(
      result.output,
      R"({"datetime":"2024-03-31T00:30:00+00:00","date":"2024-03-31","time":"00:30:00",)"
      R"("weekday":"Sunday","timezone":"UTC"})"
  );
  EXPECT_EQ(ask("").output, result.output);
  EXPECT_EQ(ask(R"({"timezone":null})").output, result.output);
}

TEST(ClockToolTest, KnowsZonesAndTheirSummerTime) {
  EXPECT_EQ(datetime(R"({"timezone":"Europe/Berlin"})"), "2024-03-31T01:30:00+01:00");
  EXPECT_EQ(
      datetime(R"({"timezone":"Europe/Berlin"})", std::chrono::minutes(30)),
      "2024-03-31T03:00:00+02:00"
  );
  EXPECT_EQ(datetime(R"({"timezone":"America/New_York"})"), "2024-03-30T20:30:00-04:00");
  EXPECT_EQ(datetime(R"({"timezone":"Asia/Kathmandu"})"), "2024-03-31T06:15:00+05:45");
}

TEST(ClockToolTest, WhatIsWrongWithACallIsToldToTheModel) {
  const auto error_of = [](const std::string& arguments) {
    const ToolResult result = ask(arguments);
    EXPECT_TRUE(result.failed) << arguments;
    return result.output;
  };
  EXPECT_THAT(error_of("what time is it?"), HasSubstr("must be JSON"));
  EXPECT_THAT(error_of("[]"), HasSubstr("must be JSON"));
  EXPECT_THAT(error_of("{\"timezone\":"), HasSubstr("must be JSON"));
  EXPECT_THAT(error_of("\xFF"), HasSubstr("must be JSON"));
  EXPECT_THAT(error_of(R"({"zone":"UTC"})"), HasSubstr("no field but"));
  EXPECT_THAT(error_of(R"({"timezone":3})"), HasSubstr("must be a string"));
  for (const char* zone :
       {"Paris", "", "/etc/localtime", "../localtime", "file:UTC", "Europe/Paris\\u0000"}) {
    EXPECT_THAT(
        error_of(R"({"timezone":")" + std::string(zone) + R"("})"), HasSubstr("unknown time zone")
    ) << zone;
  }
  EXPECT_THAT(
      error_of(R"({"timezone":")" + std::string(1000, 'a') + R"("})"),
      HasSubstr("unknown time zone")
  );
}

TEST(ClockToolTest, HasOneFunctionOnly) {
  harmony::Message call = harmony::Message::of_text(harmony::Role::kAssistant, "{}");
  call.recipient = "clock.set";
  EXPECT_TRUE(ClockTool().run(call, {}).failed);
  call.recipient = "clock";
  EXPECT_FALSE(ClockTool().run(call, {}).failed);
  EXPECT_EQ(ClockTool().declaration().functions.size(), 1U);
}

TEST(ClockToolTest, ManyThreadsMayAskAtOnce) {
  const ClockTool clock;
  std::vector<std::thread> threads;
  for (const char* zone : {"Asia/Tokyo", "Europe/Oslo", "Africa/Cairo", "Asia/Tokyo"}) {
    threads.emplace_back([&clock, zone] {
      harmony::Message call = harmony::Message::of_text(
          harmony::Role::kAssistant, R"({"timezone":")" + std::string(zone) + R"("})"
      );
      call.recipient = "clock.now";
      for (int i = 0; i < 100; ++i) EXPECT_FALSE(clock.run(call, {}).failed);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace gossamer::tools
