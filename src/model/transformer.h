#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "kernels/backend.h"
#include "model/activations.h"
#include "model/batch.h"
#include "model/config.h"
#include "model/kv_cache.h"
#include "model/rope.h"
#include "model/weights.h"

namespace gossamer::model {

/// The largest step a Transformer will be asked for.
struct StepSize {
  int max_tokens = 512;
  int max_sequences = 64;
  int max_logit_rows = 64;
  int max_context = 0;  ///< positions of the longest sequence
};

/// The gpt-oss model: embedding, layers of attention and mixture of experts, unembedding. Owns the
/// scratch of a step; weights and backend must outlive it. One thread at a time.
class Transformer {
 public:
  static Result<Transformer> create(
      const Config& config, const Weights& weights, kernels::Backend& backend, StepSize size
  );

  /// Runs a step: writes the new tokens' keys and values into the cache, and returns the logits of
  /// batch.logit_rows, F32 [num_rows, vocab_size], in the backend's memory and valid until the next
  /// call.
  tensor::View forward(const Batch& batch, const KvCache& cache);

  /// Bytes of the activations, without what the backend reserved.
  std::size_t activation_bytes() const { return pool_.size_bytes(); }

 private:
  Transformer(
      const Config& config, const Weights& weights, kernels::Backend& backend, ActivationPool pool
  );

  void operations(const kernels::Step& step, const KvCache& cache);
  /// A layer's first half: the residual stream, a.x, gets what its tokens attend to.
  void attend(
      int index, const kernels::Step& step, const kernels::KvLayer& kv, const Activations& a
  );
  /// Its second half: x, rows of the residual stream, get what their experts say.
  void feed_forward(int index, tensor::MutableView x);
  /// The last layer's second half, and what comes after it, for the rows whose logits are wanted:
  /// nobody reads the others' any more.
  void logits(const kernels::Step& step, tensor::View stream);

  Config config_;
  const Weights* weights_;
  kernels::Backend* backend_;
  ActivationPool pool_;
  RopeFrequencies rope_;
  std::vector<std::int32_t> sliding_windows_;  // [num_hidden_layers], 0: full attention
};

}  // namespace gossamer::model
