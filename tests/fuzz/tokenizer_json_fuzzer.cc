#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tokenizer_properties.h"

// Any bytes as a tokenizer.json.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gossamer::tokenizer::check_tokenizer_json(
      std::string_view(reinterpret_cast<const char*>(data), size)
  );
  return 0;
}
