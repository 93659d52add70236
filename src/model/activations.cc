#include "model/activations.h"

#include <array>

namespace gossamer::model {
namespace {

using tensor::MutableView;
using tensor::Shape;

// Rows start on cache lines.
constexpr std::size_t kAlignment = 64;

struct Part {
  MutableView* view;
  kernels::DType dtype;
  Shape shape;
};

std::size_t aligned_bytes(const Part& part) {
  const std::size_t bytes =
      static_cast<std::size_t>(part.shape.num_elements()) * tensor::size_of(part.dtype);
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

Result<ActivationPool> ActivationPool::create(
    const Config& config, kernels::Backend& backend, int max_tokens, int max_logit_rows
) {
  ActivationPool pool;
  pool.experts_per_token_ = config.experts_per_token;
  const kernels::DType activation = backend.activation_dtype();
  const kernels::DType operand = backend.operand_dtype();
  const std::int64_t tokens = max_tokens;
  const std::int64_t outputs = tokens * config.experts_per_token;
  const Shape hidden{tokens, config.hidden_size};
  const Shape queries{tokens, config.num_attention_heads, config.head_dim};
  const Shape keys{tokens, config.num_key_value_heads, config.head_dim};
  Activations& all = pool.all_;
  const std::array parts = {
      Part{&all.x, activation, hidden},
      Part{&all.rope_table, activation, {tokens, config.head_dim}},
      Part{&all.router_logits, activation, {tokens, config.num_experts}},
      Part{&all.expert_weights, activation, {tokens, config.experts_per_token}},
      Part{&all.gate_up, activation, {outputs, 2 * std::int64_t{config.intermediate_size}}},
      Part{&all.down, activation, {outputs, config.hidden_size}},
      Part{&all.normed, operand, hidden},
      Part{&all.q, operand, queries},
      Part{&all.k, operand, keys},
      Part{&all.v, operand, keys},
      Part{&all.attention, operand, queries},
      Part{&all.hidden, operand, {outputs, config.intermediate_size}},
      Part{&all.expert_ids, kernels::DType::kI32, {outputs}},
      Part{&pool.logit_x_, activation, {max_logit_rows, config.hidden_size}},
      Part{&pool.logit_normed_, operand, {max_logit_rows, config.hidden_size}},
      Part{&pool.logits_, kernels::DType::kF32, {max_logit_rows, config.vocab_size}},
  };
  std::size_t total = 0;
  for (const Part& part : parts) total += aligned_bytes(part);
  GOSSAMER_ASSIGN_OR_RETURN(pool.buffer_, backend.allocate(total));
  std::size_t offset = 0;
  for (const Part& part : parts) {
    *part.view = pool.buffer_->view(offset, part.dtype, part.shape);
    offset += aligned_bytes(part);
  }
  return pool;
}

Activations ActivationPool::first(int num_tokens) const {
  const std::int64_t outputs = std::int64_t{num_tokens} * experts_per_token_;
  Activations step = all_;
  for (MutableView* view :
       {&step.x,
        &step.rope_table,
        &step.router_logits,
        &step.expert_weights,
        &step.normed,
        &step.q,
        &step.k,
        &step.v,
        &step.attention}) {
    *view = view->rows(0, num_tokens);
  }
  for (MutableView* view : {&step.gate_up, &step.down, &step.hidden, &step.expert_ids})
    *view = view->rows(0, outputs);
  return step;
}

}  // namespace gossamer::model
