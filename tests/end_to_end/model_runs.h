#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/block_tables.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/reference/reference_backend.h"
#include "model/batch.h"
#include "model/kv_cache.h"
#include "model/transformer.h"

namespace gossamer::end_to_end {

/// "reference", "cpu", "cpu_f16" (with its KV cache in halves) or "cuda"; null where the machine
/// has no CUDA device.
inline std::unique_ptr<kernels::Backend> make_backend(const std::string& name, int num_threads) {
  if (name == "reference") return std::make_unique<kernels::reference::ReferenceBackend>();
  if (name == "cpu") return std::make_unique<kernels::cpu::CpuBackend>(num_threads);
  if (name == "cpu_f16") {
    return std::make_unique<kernels::cpu::CpuBackend>(num_threads, kernels::DType::kF16);
  }
  auto backend = kernels::cuda::create_cuda_backend({});
  return backend.ok() ? std::move(backend).value() : nullptr;
}

/// A checkpoint's weights where the backend reads them. Host backends borrow them.
inline kernels::ResidentWeights load(kernels::Backend& backend, const kernels::Weights& weights) {
  auto loaded = backend.load(weights, {});
  GOSSAMER_CHECK(loaded.ok());
  return std::move(loaded).value();
}

/// The logits of every position, [tokens, vocab], fed in chunks through the paged cache.
inline std::vector<float> all_logits(
    const model::Config& config,
    const kernels::Weights& weights,
    kernels::Backend& backend,
    const std::vector<TokenId>& tokens,
    int chunk
) {
  const int length = static_cast<int>(tokens.size());
  auto transformer = model::Transformer::create(
      config,
      weights,
      backend,
      {.max_tokens = chunk, .max_sequences = 1, .max_logit_rows = chunk, .max_context = length}
  );
  GOSSAMER_CHECK(transformer.ok());
  engine::BlockPool full(engine::blocks_for(length));
  engine::BlockPool sliding(engine::max_sliding_blocks(config.sliding_window, chunk, length));
  auto cache = model::KvCache::create(config, backend, {full.num_blocks(), sliding.num_blocks()});
  GOSSAMER_CHECK(cache.ok());
  engine::BlockTables blocks(full, sliding, config.sliding_window, length);
  model::Batch batch;
  batch.reserve(chunk, 1, length);
  std::vector<float> logits;
  for (int begin = 0; begin < length; begin += chunk) {
    const int count = std::min(chunk, length - begin);
    blocks.release_passed(begin);
    blocks.grow(begin + count);
    batch.clear();
    batch.add_sequence(
        std::span(tokens).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)),
        begin,
        blocks.full(),
        blocks.sliding()
    );
    for (int row = 0; row < count; ++row) batch.logit_rows.push_back(row);
    const tensor::View out = backend.read(transformer->forward(batch, *cache));
    logits.insert(logits.end(), out.as<float>(), out.as<float>() + out.shape().num_elements());
  }
  return logits;
}

inline double relative_l2(const std::vector<float>& values, const std::vector<float>& expected) {
  GOSSAMER_CHECK(values.size() == expected.size());
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    difference += std::pow(static_cast<double>(values[i]) - static_cast<double>(expected[i]), 2);
    norm += std::pow(static_cast<double>(expected[i]), 2);
  }
  return std::sqrt(difference / norm);
}

}  // namespace gossamer::end_to_end
