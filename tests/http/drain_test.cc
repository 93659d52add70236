#include <gtest/gtest.h>

#include "tests/http/client.h"
#include "tests/http/running_server.h"

namespace gossamer::http {
namespace {

TEST(Drain, IdleConnectionsAreClosedAndNoneAccepted) {
  RunningServer server;
  Client idle(server.port());
  idle.request("GET", "/echo");
  EXPECT_EQ(idle.answer().status, 200);
  Client silent(server.port());
  ASSERT_TRUE(eventually([&] { return server.server().num_connections() == 2; }));
  server.begin_drain(std::chrono::seconds(1000));
  EXPECT_EQ(idle.read_to_end(), "");
  EXPECT_EQ(silent.read_to_end(), "");
  EXPECT_TRUE(eventually([&] { return server.is_drained(); }));
  Client late(server.port());
  EXPECT_FALSE(late.request("GET", "/echo") && late.answer().status != 0);
}

TEST(Drain, ARequestUnderWayMayEnd) {
  RunningServer server;
  Client client(server.port());
  client.request("POST", "/size", "Content-Length: 5\r\n");
  client.send("12");
  ASSERT_TRUE(eventually([&] { return server.server().num_connections() == 1; }));
  Client other(server.port());
  other.request("GET", "/echo");  // answered, so the first has been read too
  EXPECT_EQ(other.answer().status, 200);
  server.begin_drain(std::chrono::seconds(1000));
  EXPECT_EQ(other.read_to_end(), "");
  client.send("345");
  const Answer answer = client.answer();
  EXPECT_EQ(answer.body, "5");
  EXPECT_EQ(answer.headers.at("connection"), "close");
  client.close();
  EXPECT_TRUE(eventually([&] { return server.is_drained(); }));
}

TEST(Drain, WhatTakesTooLongIsCancelledAndTold) {
  RunningServer server;
  Client waiting(server.port());
  waiting.request("GET", "/wait");
  Client streaming(server.port());
  streaming.request("GET", "/trickle");
  Client speaking(server.port());
  speaking.request("GET", "/last-words");
  ASSERT_TRUE(eventually([&] { return server.num_waiting() == 3; }));
  server.begin_drain(std::chrono::seconds(0));
  EXPECT_EQ(waiting.answer().status, 503);
  const Answer cut = streaming.answer();
  EXPECT_EQ(cut.body, "data: 1\n\n");
  EXPECT_FALSE(cut.is_complete);
  const Answer last = speaking.answer();
  EXPECT_EQ(last.body, "data: goodbye\n\n");
  EXPECT_TRUE(last.is_complete);
  waiting.close();
  speaking.close();
  EXPECT_TRUE(eventually([&] { return server.is_drained(); }));
}

TEST(Drain, ASecondDrainMayBeLessPatient) {
  RunningServer server;
  Client client(server.port());
  client.request("GET", "/wait");
  ASSERT_TRUE(eventually([&] { return server.num_waiting() == 1; }));
  server.begin_drain(std::chrono::seconds(1000));
  server.begin_drain(std::chrono::seconds(0));
  EXPECT_EQ(client.answer().status, 503);
  client.close();
  EXPECT_TRUE(eventually([&] { return server.is_drained(); }));
}

}  // namespace
}  // namespace gossamer::http
