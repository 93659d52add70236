#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace gossamer::checkpoint {

/// A tensor as a safetensors file stores it: row-major, little-endian.
struct StoredTensor {
  std::string name;
  std::string_view dtype;           ///< the file's word for it: "BF16", "U8", "I32", …
  std::vector<std::int64_t> shape;  ///< outermost first
  std::span<const std::byte> data;  ///< borrowed from the file, at any alignment

  /// "BF16 [192, 512]"
  std::string type_to_string() const;
};

/// The bytes of a tensor. Nothing when the dtype is unknown, an extent is negative, the size
/// overflows, or the bits do not fill whole bytes.
std::optional<std::uint64_t> stored_size_bytes(
    std::string_view dtype, std::span<const std::int64_t> shape
);

/// The directory of a safetensors file, in the order of the tensors' data. Nothing but the header
/// is read. `file` is the whole file; `name` stands for it in errors (kCorruptData), which say
/// which rule of the format is broken, by which tensor. Holds the file to the format's own rules:
/// every byte after the header belongs to exactly one tensor.
Result<std::vector<StoredTensor>> parse_safetensors(
    std::span<const std::byte> file, std::string_view name
);

/// A tensor about to be written.
struct TensorHeading {
  std::string name;
  std::string_view dtype;
  std::vector<std::int64_t> shape;
};

/// What a safetensors file starts with: length and JSON, padded so that the data begins at a
/// multiple of 8. The tensors' bytes follow in the same order, without gaps. The sizes must be
/// possible ones.
std::string safetensors_header(const std::vector<TensorHeading>& tensors);

}  // namespace gossamer::checkpoint
