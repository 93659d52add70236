#pragma once

#include <memory>

#include "base/result.h"
#include "kernels/backend.h"
#include "model/config.h"

namespace gossamer::model {

/// What a step computes on its way, as views for its number of tokens.
struct Activations {
  // Of the backend's activation dtype.
  tensor::MutableView x;               // [num_tokens, hidden_size], the residual stream
  tensor::MutableView rope_table;      // [num_tokens, head_dim]
  tensor::MutableView router_logits;   // [num_tokens, num_experts]
  tensor::MutableView expert_weights;  // [num_tokens, experts_per_token]
  tensor::MutableView gate_up;         // [num_tokens * experts_per_token, 2 * intermediate_size]
  tensor::MutableView down;            // [num_tokens * experts_per_token, hidden_size]

  // Of its operand dtype.
  tensor::MutableView normed;     // [num_tokens, hidden_size]
  tensor::MutableView q;          // [num_tokens, num_attention_heads, head_dim]
  tensor::MutableView k;          // [num_tokens, num_key_value_heads, head_dim]
  tensor::MutableView v;          // [num_tokens, num_key_value_heads, head_dim]
  tensor::MutableView attention;  // [num_tokens, num_attention_heads, head_dim]
  tensor::MutableView hidden;     // [num_tokens * experts_per_token, intermediate_size]

  tensor::MutableView expert_ids;  // I32 [num_tokens * experts_per_token]
};

/// The memory of the largest step's activations, made once.
class ActivationPool {
 public:
  static Result<ActivationPool> create(
      const Config& config, kernels::Backend& backend, int max_tokens, int max_logit_rows
  );

  /// Views for a step of num_tokens.
  Activations first(int num_tokens) const;

  std::size_t size_bytes() const { return buffer_->size_bytes(); }

  /// [num_rows, hidden_size]: the rows whose logits are wanted, of the activation dtype before the
  /// final norm, and of the operand dtype after it.
  tensor::MutableView logit_x(int num_rows) const { return logit_x_.rows(0, num_rows); }
  tensor::MutableView logit_normed(int num_rows) const { return logit_normed_.rows(0, num_rows); }
  /// F32 [num_rows, vocab_size].
  tensor::MutableView logits(int num_rows) const { return logits_.rows(0, num_rows); }

 private:
  ActivationPool() = default;

  std::unique_ptr<tensor::Buffer> buffer_;
  Activations all_;
  tensor::MutableView logit_x_;
  tensor::MutableView logit_normed_;
  tensor::MutableView logits_;
  int experts_per_token_ = 0;
};

}  // namespace gossamer::model
