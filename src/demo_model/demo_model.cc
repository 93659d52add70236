#include "demo_model/demo_model.h"

#include <span>
#include <string>
#include <string_view>

// Defined by demo_model.S.
extern "C" {
extern const char gossamer_demo_config_begin[];
extern const char gossamer_demo_config_end[];
extern const char gossamer_demo_tokenizer_begin[];
extern const char gossamer_demo_tokenizer_end[];
extern const char gossamer_demo_weights_begin[];
extern const char gossamer_demo_weights_end[];
}

namespace gossamer::demo_model {
namespace {

std::string_view between(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}

}  // namespace

Result<checkpoint::Checkpoint> open() {
  const auto weights = between(gossamer_demo_weights_begin, gossamer_demo_weights_end);
  return checkpoint::Checkpoint::from_memory(
      between(gossamer_demo_config_begin, gossamer_demo_config_end),
      {{"demo/model.safetensors", std::as_bytes(std::span(weights))}},
      std::string(between(gossamer_demo_tokenizer_begin, gossamer_demo_tokenizer_end))
  );
}

}  // namespace gossamer::demo_model
