#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/fuzz/harmony_oracle.h"

namespace {

using gossamer::TokenId;
using gossamer::harmony::Encoding;
using gossamer::harmony::Marker;

const Encoding& encoding() {
  static const Encoding instance = [] {
    auto tokenizer = gossamer::tokenizer::Tokenizer::o200k_harmony();
    return std::move(Encoding::create(std::move(tokenizer).value())).value();
  }();
  return instance;
}

/// The words that headers are made of.
const std::vector<std::vector<TokenId>>& words() {
  static const std::vector<std::vector<TokenId>> tokens = [] {
    std::vector<std::vector<TokenId>> list;
    for (const char* word :
         {"assistant",
          "user",
          "tool",
          "system",
          "functions.f",
          " to=functions.f",
          " to=",
          "python",
          "analysis",
          "commentary",
          "final",
          " json",
          " code",
          " ",
          "\n",
          ":",
          "I must refuse",
          "?!"}) {
      list.push_back(encoding().tokenizer().encode_ordinary(word));
    }
    return list;
  }();
  return tokens;
}

/// A stream from fuzzer bytes: one byte for a marker or a header word, four for any id.
std::vector<TokenId> tokens_from(const std::uint8_t* data, std::size_t size) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < size; ++i) {
    if (data[i] < gossamer::harmony::kNumMarkers) {
      tokens.push_back(encoding().id(static_cast<Marker>(data[i])));
    } else if (data[i] < 0x40) {
      const auto& word = words()[data[i] % words().size()];
      tokens.insert(tokens.end(), word.begin(), word.end());
    } else if (data[i] < 0xC0 || i + 3 >= size) {
      tokens.push_back(data[i]);  // a token of one byte, by its rank
    } else {
      const std::uint32_t id = data[i + 1] | data[i + 2] << 8 | data[i + 3] << 16;
      tokens.push_back(data[i] == 0xFF ? ~id : id % 201'100);
      i += 3;
    }
  }
  return tokens;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto role = data[0] % 2 == 0 ? std::optional(gossamer::harmony::Role::kAssistant)
                                     : std::optional<gossamer::harmony::Role>();
  const auto tokens = tokens_from(data + 1, size - 1);
  const std::string problem = check_lenient_parse(encoding(), tokens, role);
  if (!problem.empty()) {
    std::fprintf(stderr, "%s\n", problem.c_str());
    std::abort();
  }
  return 0;
}
