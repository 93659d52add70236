#include "http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/http/client.h"
#include "tests/http/running_server.h"

namespace gossamer::http {
namespace {

using testing::HasSubstr;

TEST(Server, ARequestReachesTheHandler) {
  RunningServer server;
  Client client(server.port());
  client.request("POST", "/%65cho?name=a+b%21", "", "the body");
  const Answer answer = client.answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "POST\n/echo\na b!\nthe body\n127.0.0.1");
  EXPECT_EQ(answer.headers.at("content-type"), "text/plain");
  EXPECT_TRUE(answer.headers.at("x-request-id").starts_with("req_"));
  EXPECT_TRUE(answer.headers.contains("date"));
}

TEST(Server, AConnectionServesManyRequests) {
  RunningServer server;
  Client client(server.port());
  for (int i = 0; i < 100; ++i) {
    client.request("POST", "/size", "", std::string(static_cast<std::size_t>(i) + 1, 'x'));
    EXPECT_EQ(client.answer().body, std::to_string(i + 1));
  }
}

TEST(Server, PipelinedRequestsAreAnsweredInOrder) {
  RunningServer server;
  Client client(server.port());
  std::string bytes;
  for (int i = 0; i < 50; ++i) {
    bytes += "POST /echo?name=" + std::to_string(i) +
             " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello\r\n";
  }
  client.send(bytes);
  for (int i = 0; i < 50; ++i) {
    EXPECT_THAT(client.answer().body, HasSubstr("\n" + std::to_string(i) + "\nhello"));
  }
}

TEST(Server, WhatComesWhileTheHandlerStreamsIsTheNextRequest) {
  RunningServer server;
  Client client(server.port());
  client.request("GET", "/stream?n=1000");
  client.request("GET", "/echo?name=next");
  const Answer first = client.answer();
  EXPECT_TRUE(first.is_complete);
  EXPECT_TRUE(first.body.ends_with("data: 999\n\n"));
  EXPECT_THAT(client.answer().body, HasSubstr("next"));
}

TEST(Server, AStreamIsChunkedAndTheConnectionGoesOn) {
  RunningServer server;
  Client client(server.port());
  client.request("GET", "/stream?n=3");
  const Answer answer = client.answer();
  EXPECT_TRUE(answer.is_complete);
  EXPECT_EQ(answer.headers.at("transfer-encoding"), "chunked");
  EXPECT_EQ(
      answer.body, "event: count\ndata: 0\n\nevent: count\ndata: 1\n\nevent: count\ndata: 2\n\n"
  );
  client.request("GET", "/echo");
  EXPECT_EQ(client.answer().status, 200);
}

TEST(Server, ABodyMayComeInChunksAndInPieces) {
  RunningServer server;
  Client client(server.port());
  const std::string bytes =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;ext=1\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n";
  for (const char c : bytes) ASSERT_TRUE(client.send(std::string_view(&c, 1)));
  EXPECT_THAT(client.answer().body, HasSubstr("\nhello world\n"));
}

TEST(Server, TheHandlerDecidesAboutPathsAndMethods) {
  RunningServer server;
  Client client(server.port());
  client.request("BREW", "/coffee");
  EXPECT_EQ(client.answer().status, 404);
  client.request("PATCH", "/echo");
  EXPECT_THAT(client.answer().body, HasSubstr("PATCH\n"));
}

TEST(Server, HeadHasTheLengthButNotTheBody) {
  RunningServer server;
  Client client(server.port());
  client.request("HEAD", "/big?n=1000");
  EXPECT_EQ(client.answer_to_head().headers.at("content-length"), "1000");
  client.request("HEAD", "/stream?n=3");
  EXPECT_EQ(client.answer_to_head().status, 200);
  client.request("GET", "/echo?name=after");
  EXPECT_THAT(client.answer().body, HasSubstr("after"));
}

TEST(Server, AnHttp10ClientGetsTheEndOfTheConnectionAsTheEndOfAStream) {
  RunningServer server;
  Client client(server.port());
  client.send("GET /stream?n=2 HTTP/1.0\r\n\r\n");
  const auto text = client.read_to_end();
  ASSERT_TRUE(text.has_value());
  EXPECT_THAT(*text, HasSubstr("Connection: close"));
  EXPECT_TRUE(text->ends_with("\r\n\r\nevent: count\ndata: 0\n\nevent: count\ndata: 1\n\n"));
}

TEST(Server, AnHttp10ClientMayKeepTheConnection) {
  RunningServer server;
  Client client(server.port());
  for (int i = 0; i < 2; ++i) {
    client.send("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(client.answer().headers.at("connection"), "keep-alive");
  }
  client.send("GET /echo HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(client.read_to_end().has_value());
}

TEST(Server, ConnectionCloseIsObeyed) {
  RunningServer server;
  Client client(server.port());
  client.request("GET", "/echo", "Connection: close\r\n");
  EXPECT_EQ(client.answer().headers.at("connection"), "close");
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(Server, AClientThatExpectsContinueIsToldToContinue) {
  RunningServer server;
  Client client(server.port());
  client.request("POST", "/size", "Expect: 100-continue\r\nContent-Length: 5\r\n");
  EXPECT_EQ(client.answer().status, 100);
  client.send("12345");
  EXPECT_EQ(client.answer().body, "5");
}

TEST(Server, AnUpgradeToWebSocketIsAnOrdinaryRequest) {
  RunningServer server;
  Client client(server.port());
  client.request(
      "GET",
      "/v1/responses",
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
  );
  EXPECT_EQ(client.answer().status, 404);
  client.request("GET", "/echo");
  EXPECT_EQ(client.answer().status, 200);
}

TEST(Server, AHandlerWithoutAnAnswerIsA500WithoutDetails) {
  RunningServer server;
  for (const char* path : {"/nothing", "/throw"}) {
    Client client(server.port());
    client.request("GET", path);
    const Answer answer = client.answer();
    EXPECT_EQ(answer.status, 500);
    EXPECT_EQ(answer.body.find("secret"), std::string::npos);
  }
}

TEST(Server, AHandlerThatFailsWithinAStreamCutsIt) {
  RunningServer server;
  Client client(server.port());
  client.request("GET", "/midway");
  const Answer answer = client.answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "data: 1\n\n");
  EXPECT_FALSE(answer.is_complete);
  EXPECT_TRUE(server.has_no_connection());
  EXPECT_EQ(server.statuses(), std::vector<int>{500});
}

TEST(Server, LargeAnswersArrive) {
  RunningServer server;
  Client client(server.port());
  client.request("GET", "/big?n=30000000");
  EXPECT_EQ(client.answer().body.size(), 30'000'000u);
}

TEST(Server, SeveralThreadsMayRunIt) {
  RunningServer server({}, 3);
  const auto work = [&server] {
    Client client(server.port());
    for (int i = 0; i < 200; ++i) {
      client.request("GET", "/stream?n=5");
      ASSERT_TRUE(client.answer().is_complete);
    }
  };
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) clients.emplace_back(work);
  for (auto& client : clients) client.join();
  EXPECT_TRUE(server.has_no_connection());
  EXPECT_EQ(server.statuses().size(), 800u);
}

TEST(Server, FiveHundredIdleConnectionsDisturbNobody) {
  RunningServer server;
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 500; ++i) {
    idle.push_back(std::make_unique<Client>(server.port()));
    ASSERT_TRUE(idle.back()->send(i % 2 == 0 ? "GET /ec" : ""));
  }
  EXPECT_TRUE(eventually([&] { return server.server().num_connections() == 500; }));
  Client client(server.port());
  client.request("GET", "/echo");
  EXPECT_EQ(client.answer().status, 200);
  for (int i = 0; i < 500; i += 100) {
    idle[static_cast<std::size_t>(i)]->send("ho HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(idle[static_cast<std::size_t>(i)]->answer().status, 200);
  }
}

TEST(Server, APortInUseIsNamedInTheError) {
  RunningServer server;
  boost::asio::io_context context;
  const auto second = Server::create(
      context,
      {.port = server.port()},
      [](Exchange&) -> boost::asio::awaitable<void> { co_return; },
      [](int, const std::string&) { return std::string(); },
      nullptr
  );
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message, HasSubstr("127.0.0.1:" + std::to_string(server.port())));
}

TEST(Server, AnAddressOfAnotherMachineIsAnError) {
  boost::asio::io_context context;
  const auto server = Server::create(
      context,
      {.host = "192.0.2.1"},
      [](Exchange&) -> boost::asio::awaitable<void> { co_return; },
      [](int, const std::string&) { return std::string(); },
      nullptr
  );
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(server.error().message, HasSubstr("192.0.2.1"));
}

}  // namespace
}  // namespace gossamer::http
