#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/safetensors.h"
#include "tensor/buffer.h"
#include "tensor/view.h"

namespace gossamer::checkpoint {

/// The tensors of all of a checkpoint's files, by name. Borrows the files' memory.
class TensorTable {
 public:
  /// A tensor and the file it is in.
  struct Entry {
    StoredTensor tensor;
    std::string file;
    bool used = false;
  };

  /// Adds the tensors of one safetensors file. kCorruptData when the file is damaged, or has a
  /// tensor that an earlier file has too.
  Status add_file(std::span<const std::byte> file, const std::string& name);

  const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }

  /// nullptr when there is none.
  const Entry* find(std::string_view name) const;

  /// The view of a tensor that exists, marked as used. kCorruptData, naming the file and both
  /// types, when its dtype or shape is another. Zero-copy, but for a tensor that the file has at an
  /// address its dtype does not allow: that one is copied.
  Result<tensor::View> use(std::string_view name, tensor::DType dtype, const tensor::Shape& shape);

  /// The name here that is most like a name that is not; nothing when none is alike.
  std::optional<std::string> nearest_name(std::string_view name) const;

  /// The tensors that nothing used, in order of name.
  std::vector<std::string> unused() const;

  /// Gives up the memory of copied tensors, which views from `use` point to.
  std::vector<std::unique_ptr<tensor::HostBuffer>> take_copies() { return std::move(copies_); }

 private:
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<std::unique_ptr<tensor::HostBuffer>> copies_;
};

}  // namespace gossamer::checkpoint
