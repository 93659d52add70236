#include "checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace gossamer::checkpoint {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Result<std::vector<StoredTensor>> parse(const std::string& file) {
  return parse_safetensors(std::as_bytes(std::span(file)), "a.safetensors");
}

/// A file with this header and payload.
std::string file_of(const std::string& header, const std::string& payload) {
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());  // short headers only
  return file + header + payload;
}

TEST(SafetensorsTest, WhatIsWrittenReadsBackWithoutACopy) {
  const std::string file =
      safetensors_header({{"w", "BF16", {2, 3}}, {"b", "U8", {4}}}) + "0123456789AB" + "wxyz";
  const auto tensors = parse(file);
  ASSERT_TRUE(tensors.ok()) << tensors.error().message;
  ASSERT_THAT(*tensors, SizeIs(2));
  const StoredTensor& w = (*tensors)[0];
  EXPECT_EQ(w.name, "w");
  EXPECT_EQ(w.type_to_string(), "BF16 [2, 3]");
  EXPECT_EQ(static_cast<const void*>(w.data.data()), file.data() + file.size() - 16);
  EXPECT_EQ(w.data.size(), 12U);
  EXPECT_EQ(static_cast<char>((*tensors)[1].data[0]), 'w');
}

TEST(SafetensorsTest, TheDataOfAWrittenFileIsAligned) {
  for (std::size_t length = 1; length < 20; ++length) {
    EXPECT_EQ(safetensors_header({{std::string(length, 'n'), "U8", {1}}}).size() % 8, 0U);
  }
}

TEST(SafetensorsTest, TensorsComeInTheOrderOfTheirData) {
  const auto tensors = parse(file_of(
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},)"
      R"("b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
      "12"
  ));
  ASSERT_TRUE(tensors.ok()) << tensors.error().message;
  EXPECT_EQ((*tensors)[0].name, "b");
}

TEST(SafetensorsTest, SkipsMetadataAndAllowsPaddingAndNoTensors) {
  const auto tensors = parse(file_of(R"({"__metadata__":{"format":"pt"}}   )", ""));
  ASSERT_TRUE(tensors.ok()) << tensors.error().message;
  EXPECT_THAT(*tensors, IsEmpty());
}

TEST(SafetensorsTest, AllowsTensorsWithoutElementsAndScalars) {
  const auto tensors = parse(file_of(
      R"({"none":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]},)"
      R"("one":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})",
      "1234"
  ));
  ASSERT_TRUE(tensors.ok()) << tensors.error().message;
  EXPECT_THAT((*tensors)[0].shape, ElementsAre(0, 5));
  EXPECT_EQ((*tensors)[1].data.size(), 4U);
}

TEST(SafetensorsTest, AnyByteMissingAtTheEndIsNoticed) {
  const std::string file = safetensors_header({{"w", "F32", {2}}}) + "01234567";
  for (std::size_t size = 0; size < file.size(); ++size) {
    const auto tensors = parse(file.substr(0, size));
    ASSERT_FALSE(tensors.ok()) << size;
    EXPECT_THAT(tensors.error().message, HasSubstr("a.safetensors"));
    EXPECT_EQ(tensors.error().code, ErrorCode::kCorruptData);
  }
}

TEST(StoredSizeTest, CountsWholeBytesOfAnyType) {
  EXPECT_EQ(stored_size_bytes("BF16", std::vector<std::int64_t>{3, 5}), 30U);
  EXPECT_EQ(stored_size_bytes("F4", std::vector<std::int64_t>{6}), 3U);
  EXPECT_EQ(stored_size_bytes("F4", std::vector<std::int64_t>{5}), std::nullopt);
  EXPECT_EQ(stored_size_bytes("Q4_K", std::vector<std::int64_t>{1}), std::nullopt);
}

TEST(StoredSizeTest, NoticesOverflowWhereverItHappens) {
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(stored_size_bytes("U8", std::vector<std::int64_t>{kHuge}), std::nullopt);
  EXPECT_EQ(stored_size_bytes("F64", std::vector<std::int64_t>{kHuge, kHuge}), std::nullopt);
  EXPECT_EQ(stored_size_bytes("U8", std::vector<std::int64_t>{-1}), std::nullopt);
  EXPECT_EQ(stored_size_bytes("U8", std::vector<std::int64_t>{0, 7}), 0U);
}

}  // namespace
}  // namespace gossamer::checkpoint
