#include "tokenizer/stream_decoder.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/tokenizer/golden.h"
#include "tokenizer/utf8.h"

namespace gossamer::tokenizer {
namespace {

TokenId byte_token(unsigned char byte) {
  const char text = static_cast<char>(byte);
  for (TokenId id = 0; id < 256; ++id) {
    if (o200k().bytes_of(id) == std::string_view(&text, 1)) return id;
  }
  ADD_FAILURE() << "no token for byte " << int{byte};
  return 0;
}

TEST(StreamDecoder, HoldsASequenceBackUntilItIsWhole) {
  StreamDecoder decoder(o200k());
  EXPECT_EQ(decoder.push(9552), " ");  // 20 F0 9F
  EXPECT_EQ(decoder.push(byte_token(0x98)), "");
  EXPECT_EQ(decoder.push(byte_token(0x80)), "😀");
  EXPECT_EQ(decoder.finish(), "");
}

TEST(StreamDecoder, ReplacesDefinitelyInvalidBytesAtOnce) {
  StreamDecoder decoder(o200k());
  EXPECT_EQ(decoder.push(byte_token(0xFF)), "\uFFFD");
  EXPECT_EQ(decoder.push(9552), " ");
  EXPECT_EQ(decoder.push(132990), "\uFFFDChicken");
}

TEST(StreamDecoder, ReplacesACutSequenceAtTheEnd) {
  StreamDecoder decoder(o200k());
  EXPECT_EQ(decoder.push(9552), " ");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
  EXPECT_EQ(decoder.finish(), "");
}

TEST(StreamDecoder, SkipsUnknownTokens) {
  StreamDecoder decoder(o200k());
  EXPECT_EQ(decoder.push(9552), " ");
  EXPECT_EQ(decoder.push(99999999), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
}

TEST(StreamDecoder, GivesInAllTheTextThatDecodeGivesAndOnlyWholeSequences) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::vector<TokenId> tokens(random() % 12);
    // Mostly single bytes and short tokens: those cut sequences.
    for (TokenId& token : tokens) token = random() % (random() % 4 == 0 ? 201088 : 512);
    StreamDecoder decoder(o200k());
    std::string text;
    for (const TokenId token : tokens) {
      const std::string part = decoder.push(token);
      ASSERT_EQ(valid_utf8_prefix(part), part.size());
      text += part;
    }
    text += decoder.finish();
    ASSERT_EQ(text, o200k().decode(tokens));
  }
}

}  // namespace
}  // namespace gossamer::tokenizer
