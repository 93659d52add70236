#include "base/mapped_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace gossamer {
namespace {

using testing::HasSubstr;

TEST(MappedFileTest, MapsTheBytesOfAFile) {
  const auto path = std::filesystem::path(testing::TempDir()) / "mapped_file_test.bin";
  std::ofstream(path) << "abc";
  const auto file = MappedFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().message;
  ASSERT_EQ(file->bytes().size(), 3U);
  EXPECT_EQ(static_cast<char>(file->bytes()[2]), 'c');
}

TEST(MappedFileTest, AnEmptyFileIsAnEmptySpan) {
  const auto path = std::filesystem::path(testing::TempDir()) / "mapped_file_test.empty";
  std::ofstream(path).close();
  const auto file = MappedFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_TRUE(file->bytes().empty());
}

TEST(MappedFileTest, AMissingFileIsNamedInTheError) {
  const auto file = MappedFile::open("/nonexistent/model.safetensors");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(file.error().message, HasSubstr("/nonexistent/model.safetensors"));
}

TEST(MappedFileTest, ADirectoryIsRefused) {
  const auto file = MappedFile::open("/");
  ASSERT_FALSE(file.ok());
  EXPECT_THAT(file.error().message, HasSubstr("not a regular file"));
}

}  // namespace
}  // namespace gossamer
