#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/result.h"
#include "tokenizer/stream_decoder.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/utf8.h"

namespace gossamer::tokenizer {

/// Aborts unless encoding any bytes and decoding them again keeps to what tokenizer.h promises.
inline void check_encoding(const Tokenizer& tokenizer, std::string_view text) {
  const std::string expected = replace_invalid_utf8(text);
  const std::vector<TokenId> tokens = tokenizer.encode_ordinary(text);
  for (const TokenId id : tokens) GOSSAMER_CHECK(!tokenizer.is_special(id));
  GOSSAMER_CHECK(tokenizer.decode_bytes(tokens).value() == expected);
  GOSSAMER_CHECK(tokenizer.decode(tokenizer.encode_with_specials(text)) == expected);
  StreamDecoder decoder(tokenizer);
  std::string streamed;
  for (const TokenId id : tokens) streamed += decoder.push(id);
  GOSSAMER_CHECK(streamed + decoder.finish() == expected);
}

/// Aborts unless any bytes as a tokenizer.json give either an error that names the file, or a
/// tokenizer that keeps its promises too.
inline void check_tokenizer_json(std::string_view json) {
  const auto tokenizer = Tokenizer::from_json(json, "fuzzed");
  if (!tokenizer.ok()) {
    GOSSAMER_CHECK(tokenizer.error().message.starts_with("fuzzed: "));
    return;
  }
  check_encoding(*tokenizer, "Hello, it's 12345 <|start|>\n  你好 \xFF 😀");
  check_encoding(*tokenizer, json.substr(0, 200));
}

}  // namespace gossamer::tokenizer
