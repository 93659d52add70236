#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "tests/http/client.h"
#include "tests/http/running_server.h"

namespace gossamer::http {
namespace {

using testing::HasSubstr;

constexpr std::size_t kHundredMegabytes = 100'000'000;

// Resident memory of this process.
std::size_t resident_bytes() {
  std::size_t total = 0;
  std::size_t resident = 0;
  FILE* file = std::fopen("/proc/self/statm", "r");
  EXPECT_EQ(std::fscanf(file, "%zu %zu", &total, &resident), 2);
  std::fclose(file);
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(Limits, ABodyThatIsTooLargeIsRefusedBeforeItComes) {
  RunningServer server;
  Client client(server.port());
  client.request("POST", "/size", "Content-Length: 100000000\r\n");
  const Answer answer = client.answer();
  EXPECT_EQ(answer.status, 413);
  EXPECT_THAT(answer.body, HasSubstr("larger than 67108864 bytes"));
  EXPECT_EQ(answer.headers.at("connection"), "close");
}

TEST(Limits, AClientThatSendsAHundredMegabytesFirstReadsTheRefusal) {
  RunningServer server;
  const std::size_t before = resident_bytes();
  const std::string part(1'000'000, 'x');
  for (const char* head : {"Content-Length: 100000000\r\n", "Transfer-Encoding: chunked\r\n"}) {
    const bool is_chunked = head[0] == 'T';
    Client client(server.port());
    client.request("POST", "/size", head);
    for (std::size_t sent = 0; sent < kHundredMegabytes; sent += part.size()) {
      ASSERT_TRUE(client.send(is_chunked ? "f4240\r\n" + part + "\r\n" : part));
    }
    EXPECT_EQ(client.answer().status, 413);
  }
  EXPECT_EQ(server.statuses(), (std::vector<int>{413, 413}));
  EXPECT_LT(resident_bytes(), before + (std::size_t{200} << 20));
  Client other(server.port());
  other.request("GET", "/echo");
  EXPECT_EQ(other.answer().status, 200);
}

TEST(Limits, ABodyOfTheAllowedSizePasses) {
  RunningServer server({.max_body_bytes = 3'000'000});
  Client client(server.port());
  client.request("POST", "/size", "", std::string(3'000'000, 'x'));
  EXPECT_EQ(client.answer().body, "3000000");
  client.request("POST", "/size", "", std::string(3'000'001, 'x'));
  EXPECT_EQ(client.answer().status, 413);
}

TEST(Limits, AClientThatExpectsContinueIsRefusedInPlaceOfIt) {
  RunningServer server;
  Client client(server.port());
  client.request("POST", "/size", "Expect: 100-continue\r\nContent-Length: 100000000\r\n");
  EXPECT_EQ(client.answer().status, 413);
}

TEST(Limits, HeadersThatAreTooLargeAreRefused) {
  RunningServer server;
  for (const std::size_t size : {70'000u, 1'000'000u}) {
    Client client(server.port());
    client.request("GET", "/echo", "Large: " + std::string(size, 'x') + "\r\n");
    EXPECT_EQ(client.answer().status, 431) << size;
  }
  Client client(server.port());
  client.send("GET /" + std::string(200'000, 'x'));
  EXPECT_EQ(client.answer().status, 431);
  client.request("GET", "/echo");
  Client fits(server.port());
  fits.request("GET", "/echo", "Large: " + std::string(60'000, 'x') + "\r\n");
  EXPECT_EQ(fits.answer().status, 200);
}

TEST(Limits, AChunkHeaderWithoutEndIsRefused) {
  RunningServer server;
  Client client(server.port());
  client.request("POST", "/size", "Transfer-Encoding: chunked\r\n");
  client.send("5;" + std::string(200'000, 'x'));
  EXPECT_EQ(client.answer().status, 400);
}

TEST(Limits, SlowHeadersAreA408) {
  RunningServer server({.header_timeout = std::chrono::seconds(1)});
  Client client(server.port());
  client.send("GET /echo HT");
  EXPECT_EQ(client.answer().status, 408);
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(Limits, ASlowBodyIsA408) {
  RunningServer server({.body_timeout = std::chrono::seconds(1)});
  Client client(server.port());
  client.request("POST", "/echo", "Content-Length: 10\r\n");
  client.send("12345");
  EXPECT_EQ(client.answer().status, 408);
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(Limits, AnIdleConnectionIsClosedWithoutAWord) {
  RunningServer server({.idle_timeout = std::chrono::seconds(1)});
  Client silent(server.port());
  EXPECT_EQ(silent.read_to_end(), "");
  Client client(server.port());
  client.request("GET", "/echo");
  EXPECT_EQ(client.answer().status, 200);
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(Limits, AClientThatReadsNothingIsDropped) {
  RunningServer server({.send_timeout = std::chrono::seconds(1)});
  const std::size_t before = resident_bytes();
  Client client(server.port(), 4096);
  client.request("GET", "/endless");
  EXPECT_TRUE(eventually([&] { return server.statuses() == std::vector<int>{499}; }));
  EXPECT_TRUE(server.has_no_connection());
  EXPECT_LT(resident_bytes(), before + (std::size_t{50} << 20));
}

TEST(Limits, ConnectionsPastTheMaximumAreA503) {
  RunningServer server({.max_connections = 2});
  Client first(server.port());
  Client second(server.port());
  first.request("GET", "/wait");
  second.request("GET", "/wait");
  ASSERT_TRUE(eventually([&] { return server.num_waiting() == 2; }));
  {
    Client third(server.port());
    third.request("GET", "/echo");
    const Answer answer = third.answer();
    EXPECT_EQ(answer.status, 503);
    EXPECT_TRUE(answer.headers.contains("retry-after"));
    EXPECT_EQ(third.read_to_end(), "");
  }
  first.close();
  second.close();
  ASSERT_TRUE(server.has_no_connection());
  Client fourth(server.port());
  fourth.request("GET", "/echo");
  EXPECT_EQ(fourth.answer().status, 200);
}

// Every file descriptor that this process may have, until the end of the scope.
class AllFileDescriptors {
 public:
  AllFileDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit small = before_;
    small.rlim_cur = std::min<rlim_t>(before_.rlim_cur, 256);
    ::setrlimit(RLIMIT_NOFILE, &small);
    for (int file = ::dup(0); file >= 0; file = ::dup(0)) files_.push_back(file);
  }
  ~AllFileDescriptors() {
    for (const int file : files_) ::close(file);
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }
  AllFileDescriptors(const AllFileDescriptors&) = delete;
  AllFileDescriptors& operator=(const AllFileDescriptors&) = delete;

  void give_back_one() {
    ::close(files_.back());
    files_.pop_back();
  }

 private:
  rlimit before_{};
  std::vector<int> files_;
};

TEST(Limits, WithoutFileDescriptorsClientsWaitAndTheServerLives) {
  RunningServer server;
  Client before(server.port());
  before.request("GET", "/echo");
  EXPECT_EQ(before.answer().status, 200);
  std::unique_ptr<Client> waiting;
  {
    AllFileDescriptors all;
    all.give_back_one();
    waiting = std::make_unique<Client>(server.port());  // takes it, so the server has none
    waiting->request("GET", "/echo");
    before.request("GET", "/echo");
    EXPECT_EQ(before.answer().status, 200);
    EXPECT_EQ(server.server().num_connections(), 1);
  }
  EXPECT_EQ(waiting->answer().status, 200);
}

}  // namespace
}  // namespace gossamer::http
