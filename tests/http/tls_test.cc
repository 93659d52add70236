#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <fstream>

#include "tests/checkpoint/scratch_directory.h"
#include "tests/http/certificate.h"
#include "tests/http/client.h"
#include "tests/http/running_server.h"

namespace gossamer::http {
namespace {

using checkpoint::ScratchDirectory;
using testing::HasSubstr;

Error error_of(const TlsFiles& files) {
  boost::asio::io_context context;
  const auto server = Server::create(
      context,
      {.port = 0, .tls = files},
      [](Exchange&) -> boost::asio::awaitable<void> { co_return; },
      [](int, const std::string&) { return std::string(); },
      nullptr
  );
  return server.ok() ? Error{ErrorCode::kIo, "none"} : server.error();
}

class Tls : public testing::Test {
 protected:
  ScratchDirectory scratch_;
  TlsFiles files_ = make_certificate(scratch_.path());
};

TEST_F(Tls, RequestsAndStreamsAreEncrypted) {
  RunningServer server({.tls = files_});
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Client client(server.port());
    ASSERT_TRUE(client.begin_tls(version));
    client.request("POST", "/echo?name=x", "", std::string(100'000, 'y'));
    EXPECT_THAT(client.answer().body, HasSubstr(std::string(100'000, 'y')));
    client.request("GET", "/stream?n=100");
    client.request("GET", "/big?n=3000000");
    EXPECT_TRUE(client.answer().is_complete);
    EXPECT_EQ(client.answer().body.size(), 3'000'000u);
  }
}

TEST_F(Tls, TheEndOfAStreamIsSaidGoodbyeTo) {
  RunningServer server({.tls = files_});
  Client client(server.port());
  ASSERT_TRUE(client.begin_tls());
  client.send("GET /stream?n=1 HTTP/1.0\r\n\r\n");
  EXPECT_THAT(*client.read_to_end(), HasSubstr("data: 0"));
  client.close();
  EXPECT_TRUE(server.has_no_connection());
}

TEST_F(Tls, AHangUpCancels) {
  RunningServer server({.tls = files_});
  for (int i = 0; i < 40; ++i) {
    Client client(server.port());
    ASSERT_TRUE(client.begin_tls());
    client.request("GET", i % 2 == 0 ? "/wait" : "/endless");
    ASSERT_TRUE(eventually([&] { return server.num_waiting() == 1; }));
    i % 4 < 2 ? client.close() : client.reset();
    ASSERT_TRUE(server.has_no_connection());
  }
}

TEST_F(Tls, OldVersionsAreRefused) {
  RunningServer server({.tls = files_});
  Client client(server.port());
  EXPECT_FALSE(client.begin_tls(TLS1_1_VERSION));
}

TEST_F(Tls, PlainHttpIsToldToEncrypt) {
  RunningServer server({.tls = files_});
  Client client(server.port());
  client.request("GET", "/echo");
  const Answer answer = client.answer();
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("https://"));
}

TEST_F(Tls, NonsenseAndSilenceInPlaceOfAHandshakeAreDropped) {
  RunningServer server({.tls = files_, .header_timeout = std::chrono::seconds(1)});
  Client nonsense(server.port());
  nonsense.send("\x16\x03\x01 this is no handshake, whatever it begins with");
  EXPECT_TRUE(nonsense.read_to_end().has_value());
  Client silent(server.port());
  EXPECT_EQ(silent.read_to_end(), "");
  EXPECT_TRUE(server.has_no_connection());
}

TEST_F(Tls, ALargeBodyIsRefusedThroughTlsToo) {
  RunningServer server({.tls = files_, .max_body_bytes = 1000});
  Client client(server.port());
  ASSERT_TRUE(client.begin_tls());
  client.request("POST", "/size", "", std::string(5'000'000, 'x'));
  EXPECT_EQ(client.answer().status, 413);
}

TEST_F(Tls, FilesThatCannotBeUsedAreNamed) {
  const auto missing = scratch_.path() / "missing.pem";
  EXPECT_THAT(error_of({missing, files_.key}).message, HasSubstr("missing.pem"));
  EXPECT_THAT(error_of({files_.certificate, missing}).message, HasSubstr("missing.pem"));
  EXPECT_THAT(error_of({files_.key, files_.key}).message, HasSubstr("key.pem"));
  const auto folder = scratch_.path() / "other";
  std::filesystem::create_directories(folder);
  const TlsFiles other = make_certificate(folder);
  EXPECT_THAT(error_of({files_.certificate, other.key}).message, HasSubstr("key.pem"));
}

}  // namespace
}  // namespace gossamer::http
