#include "tokenizer/tiktoken_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <array>
#include <string>

#include "tokenizer/o200k_base.h"
#include "tokenizer/tokenizer.h"

namespace gossamer::tokenizer {
namespace {

std::string sha256(std::string_view bytes) {
  std::array<unsigned char, 32> digest{};
  unsigned int size = 0;
  EXPECT_EQ(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr), 1);
  return fmt::format("{:02x}", fmt::join(digest, ""));
}

std::string base64(unsigned byte) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  return {kDigits[byte >> 2], kDigits[(byte & 3) << 4], '=', '='};
}

/// The smallest valid file: the 256 single bytes, highest first.
std::string bytes_file() {
  std::string file;
  for (unsigned byte = 256; byte-- > 0;) file += fmt::format("{} {}\n", base64(byte), byte);
  return file;
}

std::string error_of(const std::string& file) {
  const auto tokenizer = Tokenizer::from_tiktoken(file, "test");
  return tokenizer.ok() ? "no error" : tokenizer.error().message;
}

TEST(O200kBase, IsThePublishedFile) {
  EXPECT_EQ(o200k_base_file().size(), 3613922U);
  EXPECT_EQ(sha256(o200k_base_file()), kO200kBaseSha256);
}

TEST(TiktokenFile, ReadsRanksInAnyOrder) {
  const Tokenizer tokenizer = Tokenizer::from_tiktoken(bytes_file() + "YWI= 256\n", "test").value();
  EXPECT_EQ(tokenizer.bytes_of(65), "A");
  EXPECT_EQ(tokenizer.bytes_of(256), "ab");
  EXPECT_THAT(tokenizer.encode_ordinary("abA"), testing::ElementsAre(256, 65));
  EXPECT_EQ(tokenizer.special("<|start|>"), 200006U);
  EXPECT_EQ(tokenizer.bytes_of(257), std::nullopt);
}

TEST(TiktokenFile, ReadsCarriageReturnsAndEmptyLinesAtTheEnd) {
  EXPECT_EQ(error_of(bytes_file() + "YWI= 256 \r\n\n\n"), "no error");
}

TEST(TiktokenFile, NamesTheLineThatItCannotRead) {
  const std::string file = bytes_file();
  EXPECT_EQ(error_of(file + "YWI=\n"), "test: line 257: no space between token and rank");
  EXPECT_EQ(error_of(file + "\nYWI= 256\n"), "test: line 257: no space between token and rank");
  EXPECT_EQ(error_of(file + "YWI 256\n"), "test: line 257: the token is not base64");
  EXPECT_EQ(error_of(file + "Y*I= 256\n"), "test: line 257: the token is not base64");
  EXPECT_EQ(error_of(file + "YWJ= 256\n"), "test: line 257: the token is not base64");
  EXPECT_EQ(error_of(file + " 256\n"), "test: line 257: the token is not base64");
  EXPECT_EQ(error_of(file + "YWI= 2x\n"), "test: line 257: the rank is not a whole number");
  EXPECT_EQ(error_of(file + "YWI= -1\n"), "test: line 257: the rank is not a whole number");
  EXPECT_EQ(error_of(file + "YWI= 4294967296\n"), "test: line 257: the rank is not a whole number");
}

TEST(TiktokenFile, RefusesVocabulariesThatDoNotHoldTogether) {
  const std::string file = bytes_file();
  EXPECT_EQ(error_of(file + "YWI= 65\n"), "test: two tokens have the id 65");
  EXPECT_EQ(error_of(file + "QQ== 256\n"), "test: tokens 65 and 256 are the same bytes");
  EXPECT_EQ(error_of(file + "YWI= 257\n"), "test: no token has the id 256");
  EXPECT_EQ(error_of(file + "YWI= 4194304\n"), "test: token id 4194304 is over 4194303");
  EXPECT_EQ(error_of("QQ== 0\n"), "test: the single byte 0x00 is no token");
  EXPECT_EQ(error_of(""), "test: the single byte 0x00 is no token");
}

}  // namespace
}  // namespace gossamer::tokenizer
