#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "base/token_id.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors.h"

namespace gossamer::end_to_end {

/// Where the golden models lie: in the source tree, or where GOSSAMER_GOLDEN says
/// (scripts/gpu_check).
inline std::string golden_directory() {
  const char* const elsewhere = std::getenv("GOSSAMER_GOLDEN");
  return elsewhere != nullptr ? elsewhere : GOSSAMER_GOLDEN_DIR;
}

/// The tensors of a golden.safetensors file.
class GoldenFile {
 public:
  explicit GoldenFile(const std::string& model) {
    const std::string path = golden_directory() + "/" + model + "/golden.safetensors";
    auto file = MappedFile::open(path);
    GOSSAMER_CHECK(file.ok());
    file_ = std::move(file).value();
    auto tensors = checkpoint::parse_safetensors(file_.bytes(), path);
    GOSSAMER_CHECK(tensors.ok());
    tensors_ = std::move(tensors).value();
  }

  /// Tokens stored as I32.
  std::vector<TokenId> tokens(const std::string& name) const { return read<TokenId>(name, "I32"); }
  std::vector<float> floats(const std::string& name) const { return read<float>(name, "F32"); }

 private:
  template <class T>
  std::vector<T> read(const std::string& name, std::string_view dtype) const {
    for (const checkpoint::StoredTensor& tensor : tensors_) {
      if (tensor.name != name) continue;
      GOSSAMER_CHECK(tensor.dtype == dtype);
      std::vector<T> values(tensor.data.size() / sizeof(T));
      std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
      return values;
    }
    ADD_FAILURE() << "no tensor " << name;
    return {};
  }

  MappedFile file_;
  std::vector<checkpoint::StoredTensor> tensors_;
};

inline checkpoint::Checkpoint open_golden(const std::string& directory) {
  auto checkpoint = checkpoint::Checkpoint::open(golden_directory() + "/" + directory);
  GOSSAMER_CHECK(checkpoint.ok());
  return std::move(checkpoint).value();
}

}  // namespace gossamer::end_to_end
