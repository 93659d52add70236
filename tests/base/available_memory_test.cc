#include "base/available_memory.h"

#include <gtest/gtest.h>

namespace gossamer {
namespace {

TEST(AvailableMemoryTest, IsSomeOfWhatAMachineCanHave) {
  const auto bytes = available_memory_bytes();
  if (!bytes) GTEST_SKIP() << "the system does not say";
  EXPECT_GT(*bytes, std::uint64_t{1} << 20U);
  EXPECT_LT(*bytes, std::uint64_t{1} << 50U);
}

}  // namespace
}  // namespace gossamer
