#include "tensor/buffer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace gossamer::tensor {
namespace {

TEST(HostBufferTest, IsZeroedAndWritable) {
  const auto buffer = HostBuffer::allocate(10'000);
  ASSERT_TRUE(buffer.ok()) << buffer.error().message;
  std::byte* data = (*buffer)->data();
  EXPECT_TRUE(std::all_of(data, data + 10'000, [](std::byte byte) { return byte == std::byte{}; }));
  data[9'999] = std::byte{1};
  EXPECT_EQ((*buffer)->size_bytes(), 10'000U);
}

TEST(HostBufferTest, ALargeReservationCostsNothingUntilItIsTouched) {
  // More than the memory of most machines.
  const auto buffer = HostBuffer::allocate(std::size_t{1} << 38U);
  ASSERT_TRUE(buffer.ok()) << buffer.error().message;
  (*buffer)->data()[(std::size_t{1} << 38U) - 1] = std::byte{1};
}

std::size_t num_resident_pages(const Buffer& buffer) {
  const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((buffer.size_bytes() + page_bytes - 1) / page_bytes);
  EXPECT_EQ(::mincore(buffer.data(), buffer.size_bytes(), pages.data()), 0);
  return static_cast<std::size_t>(std::count_if(pages.begin(), pages.end(), [](unsigned char page) {
    return (page & 1U) != 0;
  }));
}

TEST(HostBufferTest, CommittedMemoryIsThereBeforeItIsTouched) {
  constexpr std::size_t kPages = 3000;
  const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto buffer = HostBuffer::allocate(kPages * page_bytes);
  ASSERT_TRUE(buffer.ok()) << buffer.error().message;
  (*buffer)->data()[1] = std::byte{7};
  ASSERT_LT(num_resident_pages(**buffer), kPages);
  (*buffer)->commit(0, page_bytes);
  (*buffer)->commit(page_bytes, (kPages - 1) * page_bytes);
  EXPECT_EQ(num_resident_pages(**buffer), kPages);
  EXPECT_EQ((*buffer)->data()[1], std::byte{7});
}

TEST(HostBufferTest, MoreThanTheAddressSpaceIsAnErrorThatSaysHowMuch) {
  const auto buffer = HostBuffer::allocate(std::size_t{1} << 62U);
  ASSERT_FALSE(buffer.ok());
  EXPECT_EQ(buffer.error().code, ErrorCode::kOutOfMemory);
  EXPECT_THAT(buffer.error().message, testing::HasSubstr("4611686.02 TB"));
}

TEST(HostBufferTest, AnEmptyBufferIsFine) {
  const auto buffer = HostBuffer::allocate(0);
  ASSERT_TRUE(buffer.ok());
  EXPECT_EQ((*buffer)->size_bytes(), 0U);
}

TEST(BufferTest, ViewsArePartsOfTheBuffer) {
  const auto buffer = HostBuffer::allocate(64);
  ASSERT_TRUE(buffer.ok());
  const MutableView view = (*buffer)->view(32, DType::kF32, Shape({2, 4}));
  view.as<float>()[7] = 1.0F;
  EXPECT_EQ((*buffer)->data()[62], std::byte{0x80});
  EXPECT_EQ((*buffer)->data()[63], std::byte{0x3F});
}

TEST(BufferDeathTest, AViewBeyondTheEndIsABug) {
  const auto buffer = HostBuffer::allocate(64);
  ASSERT_TRUE(buffer.ok());
  EXPECT_DEATH((*buffer)->view(36, DType::kF32, Shape({2, 4})), "does not hold");
}

}  // namespace
}  // namespace gossamer::tensor
