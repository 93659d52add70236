#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "base/result.h"
#include "kernels/backend.h"
#include "model/config.h"

namespace gossamer::model {

/// Blocks of a paged KV cache, in two groups: layers with full attention, and layers with a sliding
/// window. A block id of a group names kernels::kBlockSize positions in every layer of it.
struct KvCacheSize {
  int full_blocks = 0;
  int sliding_blocks = 0;
};

/// Keys and values of all layers. Which block belongs to which sequence is the engine's business.
class KvCache {
 public:
  /// Reserves the memory, of a backend that must outlive the cache. On hosts it is paid for as
  /// blocks are first used, or by commit().
  static Result<KvCache> create(const Config& config, kernels::Backend& backend, KvCacheSize size);

  /// Takes the memory of all blocks, a piece at a time, until told to stop. A thread of its own may
  /// do so while others use the cache.
  void commit(const std::stop_token& stop) const;

  /// Copies the keys and values of a block, in every layer of its group.
  void copy_block(LayerType group, kernels::BlockId from, kernels::BlockId to) const;

  kernels::KvLayer layer(int index) const { return layers_[static_cast<std::size_t>(index)]; }
  std::span<const kernels::KvLayer> layers() const { return layers_; }
  KvCacheSize size() const { return size_; }

  /// Bytes that one block of a group takes over all its layers.
  static std::size_t block_bytes(const Config& config, LayerType group, kernels::DType dtype);

 private:
  KvCache() = default;

  KvCacheSize size_;
  kernels::Backend* backend_ = nullptr;
  std::vector<LayerType> groups_;  // of the layers
  std::vector<std::unique_ptr<tensor::Buffer>> buffers_;
  std::vector<kernels::KvLayer> layers_;
};

}  // namespace gossamer::model
