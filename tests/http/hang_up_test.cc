#include <gtest/gtest.h>

#include "tests/http/client.h"
#include "tests/http/running_server.h"

namespace gossamer::http {
namespace {

// Ends the connection of a client whose handler is under way, and waits until nothing is left.
void expect_unwound(RunningServer& server, const std::string& path, void (Client::*end)()) {
  Client client(server.port());
  ASSERT_TRUE(client.request("POST", path, "", "{}"));
  ASSERT_TRUE(eventually([&] { return server.num_waiting() == 1; }));
  (client.*end)();
  ASSERT_TRUE(eventually([&] { return server.num_waiting() == 0; }));
  ASSERT_TRUE(server.has_no_connection());
}

TEST(HangUp, AHandlerThatWaitsIsCancelledFiveHundredTimes) {
  RunningServer server;
  for (int i = 0; i < 500; ++i) {
    expect_unwound(server, "/wait", i % 2 == 0 ? &Client::close : &Client::reset);
  }
  EXPECT_EQ(server.statuses(), std::vector<int>(500, 499));
}

TEST(HangUp, AStreamBetweenTwoEventsIsCancelled) {
  RunningServer server;
  for (int i = 0; i < 50; ++i) {
    expect_unwound(server, "/trickle", i % 2 == 0 ? &Client::close : &Client::reset);
  }
  EXPECT_EQ(server.statuses(), std::vector<int>(50, 499));
}

TEST(HangUp, AStreamThatWaitsForItsReaderIsCancelled) {
  RunningServer server;
  expect_unwound(server, "/endless", &Client::close);
  expect_unwound(server, "/endless", &Client::reset);
}

TEST(HangUp, AClientThatClosesItsSendingSideHasHungUp) {
  RunningServer server;
  Client client(server.port());
  ASSERT_TRUE(client.request("GET", "/wait"));
  ASSERT_TRUE(eventually([&] { return server.num_waiting() == 1; }));
  client.stop_sending();
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_TRUE(server.has_no_connection());
}

TEST(HangUp, PipelinedBytesDoNotHideIt) {
  RunningServer server;
  Client client(server.port());
  ASSERT_TRUE(client.request("GET", "/wait"));
  ASSERT_TRUE(client.request("GET", "/echo"));
  ASSERT_TRUE(eventually([&] { return server.num_waiting() == 1; }));
  client.close();
  EXPECT_TRUE(server.has_no_connection());
  EXPECT_EQ(server.statuses(), std::vector<int>{499});
}

TEST(HangUp, OthersAreNotDisturbed) {
  RunningServer server;
  Client patient(server.port());
  ASSERT_TRUE(patient.request("GET", "/trickle"));
  ASSERT_TRUE(eventually([&] { return server.num_waiting() == 1; }));
  for (int i = 0; i < 20; ++i) {
    Client client(server.port());
    ASSERT_TRUE(client.request("GET", "/wait"));
    ASSERT_TRUE(eventually([&] { return server.num_waiting() == 2; }));
    client.close();
    ASSERT_TRUE(eventually([&] { return server.num_waiting() == 1; }));
  }
  EXPECT_EQ(server.server().num_connections(), 1);
}

TEST(HangUp, WithinTheBodyItIsNoRequest) {
  RunningServer server;
  Client client(server.port());
  ASSERT_TRUE(client.request("POST", "/echo", "Content-Length: 100\r\n"));
  ASSERT_TRUE(client.send("only a part"));
  client.close();
  EXPECT_TRUE(eventually([&] { return server.statuses() == std::vector<int>{499}; }));
  EXPECT_TRUE(server.has_no_connection());
}

TEST(HangUp, SeveralThreadsUnwindToo) {
  RunningServer server({}, 3);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 20; ++i) {
      clients.push_back(std::make_unique<Client>(server.port()));
      ASSERT_TRUE(clients.back()->request("GET", i % 2 == 0 ? "/wait" : "/endless"));
    }
    ASSERT_TRUE(eventually([&] { return server.num_waiting() == 20; }));
    clients.clear();
    ASSERT_TRUE(server.has_no_connection());
  }
}

}  // namespace
}  // namespace gossamer::http
