#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tokenizer_properties.h"

// Any bytes as text for the built-in tokenizer.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gossamer::tokenizer::Tokenizer;
  static const Tokenizer kTokenizer = Tokenizer::o200k_harmony().value();
  gossamer::tokenizer::check_encoding(
      kTokenizer, std::string_view(reinterpret_cast<const char*>(data), size)
  );
  return 0;
}
