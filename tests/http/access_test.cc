#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/http/client.h"
#include "tests/http/running_server.h"

namespace gossamer::http {
namespace {

using testing::HasSubstr;

Answer answer_to(
    RunningServer& server,
    const std::string& method,
    const std::string& path,
    const std::string& headers,
    const std::string& host = "localhost"
) {
  Client client(server.port());
  client.send(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + headers + "\r\n");
  return client.answer();
}

ServerOptions with_keys() {
  return {
      .api_keys = {{"sk-alice", "alice"}, {"sk-bob", "bob"}},
      .open_paths = {"/size"},
  };
}

TEST(Access, AKeyOpensTheServerAndNamesTheClient) {
  RunningServer server(with_keys());
  for (const char* header :
       {"Authorization: Bearer sk-bob\r\n",
        "authorization: bearer  sk-bob\r\n",
        "X-Api-Key: sk-bob\r\n"}) {
    EXPECT_TRUE(answer_to(server, "GET", "/echo", header).body.ends_with("\nbob")) << header;
  }
}

TEST(Access, WithoutAKnownKeyTheAnswerIs401) {
  RunningServer server(with_keys());
  for (const char* header :
       {"",
        "Authorization: Bearer \r\n",
        "Authorization: Bearer sk-bo\r\n",
        "Authorization: Bearer sk-bob2\r\n",
        "Authorization: Basic sk-bob\r\n",
        "X-Api-Key:\r\n"}) {
    const Answer answer = answer_to(server, "GET", "/echo", header);
    EXPECT_EQ(answer.status, 401) << header;
    EXPECT_THAT(answer.headers.at("www-authenticate"), HasSubstr("Bearer"));
    EXPECT_TRUE(answer.headers.contains("x-request-id"));
  }
}

TEST(Access, OpenPathsNeedNoKey) {
  RunningServer server(with_keys());
  EXPECT_EQ(answer_to(server, "GET", "/size", "").status, 200);
  EXPECT_EQ(answer_to(server, "GET", "/sizes", "").status, 401);
}

TEST(Access, ALargeBodyIsNotReadWithoutAKey) {
  RunningServer server(with_keys());
  Client client(server.port());
  client.request("POST", "/echo", "Content-Length: 50000000\r\n");
  EXPECT_EQ(client.answer().status, 401);
}

TEST(Access, AnAllowedOriginIsToldWhatItMay) {
  RunningServer server({.cors_origins = {"http://localhost:3000"}});
  const std::string origin = "Origin: http://localhost:3000\r\n";
  const Answer preflight = answer_to(
      server,
      "OPTIONS",
      "/echo",
      origin + "Access-Control-Request-Method: POST\r\n" +
          "Access-Control-Request-Headers: authorization, content-type\r\n"
  );
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.headers.at("access-control-allow-origin"), "http://localhost:3000");
  EXPECT_EQ(preflight.headers.at("access-control-allow-headers"), "authorization, content-type");
  EXPECT_THAT(preflight.headers.at("access-control-allow-methods"), HasSubstr("POST"));
  const Answer answer = answer_to(server, "POST", "/echo", origin);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("access-control-allow-origin"), "http://localhost:3000");
  EXPECT_EQ(answer.headers.at("vary"), "Origin");
}

TEST(Access, AStreamHasTheHeadersForItsOriginToo) {
  RunningServer server({.cors_origins = {"*"}});
  const Answer answer = answer_to(server, "GET", "/stream?n=1", "Origin: https://any.example\r\n");
  EXPECT_EQ(answer.headers.at("access-control-allow-origin"), "*");
}

TEST(Access, APreflightNeedsNoKeyButTheRequestDoes) {
  ServerOptions options = with_keys();
  options.cors_origins = {"https://app.example"};
  RunningServer server(options);
  const std::string origin = "Origin: https://app.example\r\n";
  EXPECT_EQ(
      answer_to(server, "OPTIONS", "/echo", origin + "Access-Control-Request-Method: POST\r\n")
          .status,
      204
  );
  const Answer answer = answer_to(server, "POST", "/echo", origin);
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.headers.at("access-control-allow-origin"), "https://app.example");
}

TEST(Access, APageOfAnotherOriginCanChangeNothing) {
  RunningServer server({.cors_origins = {"http://localhost:3000"}});
  for (const char* origin : {"Origin: https://evil.example\r\n", "Origin: null\r\n"}) {
    EXPECT_EQ(answer_to(server, "POST", "/echo", origin).status, 403) << origin;
    EXPECT_EQ(answer_to(server, "DELETE", "/echo", origin).status, 403) << origin;
    const Answer preflight = answer_to(
        server, "OPTIONS", "/echo", origin + std::string("Access-Control-Request-Method: POST\r\n")
    );
    EXPECT_EQ(preflight.status, 403);
    const Answer read = answer_to(server, "GET", "/echo", origin);
    EXPECT_FALSE(read.headers.contains("access-control-allow-origin"));
  }
}

TEST(Access, TheServersOwnPagesMayPost) {
  RunningServer server;
  const std::string host = "localhost:" + std::to_string(server.port());
  EXPECT_EQ(
      answer_to(server, "POST", "/echo", "Origin: http://" + host + "\r\n", host).status, 200
  );
}

TEST(Access, ANameThatAStrangerCanOwnIsRefusedOnLoopbackWithoutKeys) {
  RunningServer server;
  EXPECT_EQ(answer_to(server, "GET", "/echo", "", "evil.example:8000").status, 403);
  EXPECT_EQ(
      answer_to(server, "POST", "/echo", "Origin: http://evil.example\r\n", "evil.example").status,
      403
  );
  for (const char* host :
       {"127.0.0.1:8000",
        "[::1]:8000",
        "localhost",
        "gossamer",
        "pc.local",
        "host.docker.internal:8000"}) {
    EXPECT_EQ(answer_to(server, "GET", "/echo", "", host).status, 200) << host;
  }
  RunningServer guarded(with_keys());
  EXPECT_EQ(answer_to(guarded, "GET", "/echo", "X-Api-Key: sk-bob\r\n", "llm.example").status, 200);
}

}  // namespace
}  // namespace gossamer::http
