#include "tokenizer/o200k_base.h"

#include <cstddef>

// Defined by o200k_base.S.
extern "C" {
extern const char gossamer_o200k_base_begin[];
extern const char gossamer_o200k_base_end[];
}

namespace gossamer::tokenizer {

std::string_view o200k_base_file() {
  return {
      gossamer_o200k_base_begin,
      static_cast<std::size_t>(gossamer_o200k_base_end - gossamer_o200k_base_begin)};
}

}  // namespace gossamer::tokenizer
