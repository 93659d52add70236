// Feeds bytes to the safetensors reader: it must never read outside them, overflow or throw.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "checkpoint/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  const auto tensors = gossamer::checkpoint::parse_safetensors(file, "fuzz.safetensors");
  if (!tensors.ok()) {
    GOSSAMER_CHECK(!tensors.error().message.empty());
    return 0;
  }
  for (const auto& tensor : *tensors) {
    GOSSAMER_CHECK(
        gossamer::checkpoint::stored_size_bytes(tensor.dtype, tensor.shape) == tensor.data.size()
    );
    GOSSAMER_CHECK(tensor.data.empty() || tensor.data.data() >= file.data() + 8);
    GOSSAMER_CHECK(tensor.data.data() + tensor.data.size() <= file.data() + file.size());
  }
  return 0;
}
