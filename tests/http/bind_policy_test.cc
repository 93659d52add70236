#include "http/bind_policy.h"

#include <gtest/gtest.h>

namespace gossamer::http {
namespace {

TEST(BindPolicy, LoopbackIsWhatOnlyThisMachineReaches) {
  for (const char* host :
       {"127.0.0.1",
        "127.9.9.9",
        "::1",
        "[::1]",
        "localhost",
        "LOCALHOST",
        "api.localhost",
        "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(is_loopback(host)) << host;
  }
  for (const char* host :
       {"0.0.0.0",
        "::",
        "[::]",
        "192.168.1.2",
        "example.com",
        "",
        "127.0.0.1.x",
        "notlocalhost",
        "localhost.example",
        "::ffff:10.0.0.1"}) {
    EXPECT_FALSE(is_loopback(host)) << host;
  }
}

TEST(BindPolicy, TheNameIsWithoutThePort) {
  EXPECT_EQ(host_name("Example.com:80"), "example.com");
  EXPECT_EQ(host_name("example.com."), "example.com");
  EXPECT_EQ(host_name("[::1]:80"), "::1");
  EXPECT_EQ(host_name("::1"), "::1");
  EXPECT_EQ(host_name(""), "");
  EXPECT_EQ(host_name("["), "");
}

TEST(BindPolicy, PrivateNamesAreThoseThatNobodyCanBuy) {
  for (const char* name : {"localhost", "server", "10.0.0.7", "::1", "a.local", "a.b.internal"}) {
    EXPECT_TRUE(is_private_name(name)) << name;
  }
  for (const char* name : {"", "evil.example", "127.0.0.1.evil.example", "local.example"}) {
    EXPECT_FALSE(is_private_name(name)) << name;
  }
}

}  // namespace
}  // namespace gossamer::http
