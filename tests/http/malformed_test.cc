#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "tests/http/client.h"
#include "tests/http/running_server.h"

namespace gossamer::http {
namespace {

int status_of(RunningServer& server, const std::string& bytes) {
  Client client(server.port());
  client.send(bytes);
  return client.answer().status;
}

void expect_alive(RunningServer& server) {
  Client client(server.port());
  client.request("GET", "/echo");
  EXPECT_EQ(client.answer().status, 200);
}

TEST(Malformed, NonsenseIsA400) {
  RunningServer server;
  const std::array<std::string, 11> requests = {
      "nonsense\r\n\r\n",
      "GET\r\n\r\n",
      "GET /echo\r\n\r\n",
      std::string("GET /") + '\0' + "echo HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /echo HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n",
      "GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
      "GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      "GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
      "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
      std::string("\x16\x03\x01\x02") + '\0' + "\x01 a TLS client's first message",
  };
  for (const auto& request : requests) EXPECT_EQ(status_of(server, request), 400) << request;
  expect_alive(server);
}

TEST(Malformed, ARequestHasOneHost) {
  RunningServer server;
  EXPECT_EQ(status_of(server, "GET /echo HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of(server, "GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
}

TEST(Malformed, OtherVersionsAndEncodingsAreSaidToBeUnknown) {
  RunningServer server;
  EXPECT_EQ(status_of(server, "GET /echo FTP/1.1\r\n\r\n"), 505);
  EXPECT_EQ(status_of(server, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
  EXPECT_EQ(
      status_of(server, "GET /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"), 501
  );
}

TEST(Malformed, HeadersMayHoldAnyByteAboveSpace) {
  RunningServer server;
  EXPECT_EQ(status_of(server, "GET /echo HTTP/1.1\r\nHost: a\r\nX: \xff\xfe\x80\r\n\r\n"), 200);
  EXPECT_EQ(status_of(server, "POST /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n"), 404);
}

class Mutator {
 public:
  std::string next() {
    std::string bytes = seeds_[random_() % seeds_.size()];
    const auto num_changes = random_() % 8;
    for (std::uint32_t i = 0; i < num_changes && !bytes.empty(); ++i) change(bytes);
    return bytes;
  }

 private:
  void change(std::string& bytes) {
    const auto place = random_() % bytes.size();
    switch (random_() % 5) {
      case 0:
        bytes[place] = static_cast<char>(random_());
        break;
      case 1:
        bytes.erase(place, random_() % 9);
        break;
      case 2:
        bytes.insert(place, bytes.substr(random_() % bytes.size(), random_() % 40));
        break;
      case 3:
        bytes.insert(place, random_() % 200, static_cast<char>(random_()));
        break;
      default:
        bytes.resize(place);
    }
  }

  const std::vector<std::string> seeds_ = {
      "GET /echo?name=x HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody",
      "GET /stream?n=3 HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
      "POST /size HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nHost: a\r\nOrigin: b\r\nAccess-Control-Request-Method: C\r\n\r\n",
      "HEAD /big?n=10 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /trickle HTTP/1.0\r\n\r\n",
      "PUT /wait HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
  };
  std::mt19937 random_{2026};
};

TEST(Malformed, ThousandsOfDamagedRequestsLeaveNothingBehind) {
  RunningServer server({}, 2);
  Mutator mutator;
  std::mt19937 random(7);
  for (int i = 0; i < 4000; ++i) {
    Client client(server.port());
    client.send(mutator.next());
    if (random() % 2 == 0) {
      client.stop_sending();
      EXPECT_TRUE(client.read_to_end().has_value());
    } else {
      client.reset();
    }
    if (i % 500 == 0) expect_alive(server);
  }
  EXPECT_TRUE(server.has_no_connection());
  EXPECT_EQ(server.num_waiting(), 0);
  expect_alive(server);
}

}  // namespace
}  // namespace gossamer::http
