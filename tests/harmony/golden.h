#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/token_id.h"
#include "harmony/encoding.h"

namespace gossamer::harmony {

/// The encoding of the released models, made once for all tests of the program.
inline const Encoding& o200k_encoding() {
  static const Encoding encoding = [] {
    auto tokenizer = tokenizer::Tokenizer::o200k_harmony();
    GOSSAMER_CHECK(tokenizer.ok());
    auto made = Encoding::create(std::move(tokenizer).value());
    GOSSAMER_CHECK(made.ok());
    return std::move(made).value();
  }();
  return encoding;
}

/// A file of tests/golden/harmony, without the white space at its end.
inline std::string golden_text(const std::string& name) {
  std::ifstream file(std::string(GOSSAMER_GOLDEN_DIR "/harmony/") + name);
  GOSSAMER_CHECK(file.good());
  std::ostringstream text;
  text << file.rdbuf();
  std::string result = text.str();
  result.erase(result.find_last_not_of(" \n") + 1);
  return result;
}

inline nlohmann::ordered_json golden_json(const std::string& name) {
  return nlohmann::ordered_json::parse(golden_text(name));
}

/// The ids of a file that lists them.
inline std::vector<TokenId> golden_tokens(const std::string& name) {
  std::istringstream text(golden_text(name));
  std::vector<TokenId> tokens;
  for (TokenId token = 0; text >> token;) tokens.push_back(token);
  return tokens;
}

/// Tokens of a text in which special tokens are written out.
inline std::vector<TokenId> tokens_of(std::string_view text) {
  return o200k_encoding().tokenizer().encode_with_specials(text);
}

}  // namespace gossamer::harmony
