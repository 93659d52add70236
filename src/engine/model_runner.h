#pragma once

#include <span>
#include <vector>

#include "engine/scheduler.h"
#include "model/batch.h"
#include "model/kv_cache.h"
#include "model/transformer.h"

namespace gossamer::engine {

/// Turns a scheduled step into a ragged batch and runs it.
class ModelRunner {
 public:
  ModelRunner(model::Transformer transformer, model::KvCache cache, model::StepSize size);

  /// Copies blocks, then computes the step: the logits of the sequences that want them, in order:
  /// F32 [num_wanted, vocab_size], in the backend's memory and valid until the next call.
  tensor::View run(std::span<const ScheduledSequence> step, std::span<const BlockCopy> copies);

  const model::KvCache& cache() const { return cache_; }

 private:
  void prepare(std::span<const ScheduledSequence> step);

  model::Transformer transformer_;
  model::KvCache cache_;
  model::Batch batch_;
};

}  // namespace gossamer::engine
