#include "model/kv_cache.h"

#include <algorithm>

namespace gossamer::model {
namespace {

// Other threads that need memory wait for one piece.
constexpr std::size_t kCommittedAtOnce = 4 << 20;

tensor::Shape layer_shape(const Config& config, int num_blocks) {
  return {num_blocks, config.num_key_value_heads, kernels::kBlockSize, config.head_dim};
}

/// A block of a layer's keys, or of its values.
tensor::MutableView block_of(tensor::MutableView all, kernels::BlockId block) {
  const auto index = static_cast<std::size_t>(block);
  const auto num_blocks = static_cast<std::size_t>(all.shape()[0]);
  const std::size_t bytes = all.size_bytes() / num_blocks;
  return {all.data() + index * bytes, all.dtype(), {all.shape().num_elements() / all.shape()[0]}};
}

}  // namespace

std::size_t KvCache::block_bytes(const Config& config, LayerType group, kernels::DType dtype) {
  const auto num_layers = static_cast<std::size_t>(
      std::count(config.layer_types.begin(), config.layer_types.end(), group)
  );
  const auto cell = static_cast<std::size_t>(layer_shape(config, 1).num_elements());
  return 2 * num_layers * cell * tensor::size_of(dtype);
}

Result<KvCache> KvCache::create(const Config& config, kernels::Backend& backend, KvCacheSize size) {
  KvCache cache;
  cache.size_ = size;
  cache.backend_ = &backend;
  cache.groups_.assign(config.layer_types.begin(), config.layer_types.end());
  const kernels::DType dtype = backend.kv_dtype();
  for (const LayerType type : config.layer_types) {
    const int num_blocks = type == LayerType::kSliding ? size.sliding_blocks : size.full_blocks;
    const tensor::Shape shape = layer_shape(config, num_blocks);
    const std::size_t bytes =
        static_cast<std::size_t>(shape.num_elements()) * tensor::size_of(dtype);
    GOSSAMER_ASSIGN_OR_RETURN(auto buffer, backend.allocate(2 * bytes));
    cache.layers_.push_back({buffer->view(0, dtype, shape), buffer->view(bytes, dtype, shape)});
    cache.buffers_.push_back(std::move(buffer));
  }
  return cache;
}

void KvCache::copy_block(LayerType group, kernels::BlockId from, kernels::BlockId to) const {
  if (from == to) return;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (groups_[i] != group) continue;
    for (const tensor::MutableView all : {layers_[i].keys, layers_[i].values}) {
      backend_->copy(block_of(all, from), block_of(all, to));
    }
  }
}

void KvCache::commit(const std::stop_token& stop) const {
  for (const auto& buffer : buffers_) {
    for (std::size_t begin = 0; begin < buffer->size_bytes(); begin += kCommittedAtOnce) {
      if (stop.stop_requested()) return;
      buffer->commit(begin, std::min(kCommittedAtOnce, buffer->size_bytes() - begin));
    }
  }
}

}  // namespace gossamer::model
