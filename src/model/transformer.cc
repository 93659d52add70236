#include "model/transformer.h"

#include <functional>
#include <utility>

namespace gossamer::model {

Result<Transformer> Transformer::create(
    const Config& config, const Weights& weights, kernels::Backend& backend, StepSize size
) {
  GOSSAMER_RETURN_IF_ERROR(backend.reserve(
      {.max_tokens = size.max_tokens,
       .max_sequences = size.max_sequences,
       .max_logit_rows = size.max_logit_rows,
       .max_context = size.max_context,
       .vocab_size = config.vocab_size,
       .num_hidden_layers = config.num_hidden_layers,
       .hidden_size = config.hidden_size,
       .intermediate_size = config.intermediate_size,
       .num_attention_heads = config.num_attention_heads,
       .num_key_value_heads = config.num_key_value_heads,
       .head_dim = config.head_dim,
       .num_experts = config.num_experts,
       .experts_per_token = config.experts_per_token}
  ));
  GOSSAMER_ASSIGN_OR_RETURN(
      ActivationPool pool,
      ActivationPool::create(config, backend, size.max_tokens, size.max_logit_rows)
  );
  return Transformer(config, weights, backend, std::move(pool));
}

Transformer::Transformer(
    const Config& config, const Weights& weights, kernels::Backend& backend, ActivationPool pool
)
    : config_(config),
      weights_(&weights),
      backend_(&backend),
      pool_(std::move(pool)),
      rope_(rope_frequencies(config)) {
  for (const LayerType type : config.layer_types) {
    sliding_windows_.push_back(type == LayerType::kSliding ? config.sliding_window : 0);
  }
}

tensor::View Transformer::forward(const Batch& batch, const KvCache& cache) {
  const kernels::Step step = backend_->begin_step(batch.inputs());
  const tensor::MutableView logits = pool_.logits(step.num_logit_rows());
  const bool done = backend_->forward(
      {.weights = weights_,
       .step = &step,
       .kv = cache.layers(),
       .sliding_windows = sliding_windows_,
       .rope = {rope_.inverse_frequencies, rope_.concentration},
       .rms_norm_eps = config_.rms_norm_eps,
       .swiglu_limit = config_.swiglu_limit,
       .logits = logits}
  );
  if (done) return logits;
  const auto ops = [&] { operations(step, cache); };
  backend_->run(step, std::ref(ops));  // by reference: a std::function of its own would allocate
  return logits;
}

void Transformer::operations(const kernels::Step& step, const KvCache& cache) {
  const Activations a = pool_.first(step.num_tokens());
  backend_->embed(step.tokens, weights_->embedding, a.x);
  backend_->rope_table(
      step.positions, {rope_.inverse_frequencies, rope_.concentration}, a.rope_table
  );
  const int last = config_.num_hidden_layers - 1;
  for (int i = 0; i < last; ++i) {
    attend(i, step, cache.layer(i), a);
    feed_forward(i, a.x);
  }
  attend(last, step, cache.layer(last), a);
  if (step.num_logit_rows() > 0) logits(step, a.x);
}

void Transformer::attend(
    int index, const kernels::Step& step, const kernels::KvLayer& kv, const Activations& a
) {
  const LayerWeights& w = weights_->layers[static_cast<std::size_t>(index)];
  const int window = sliding_windows_[static_cast<std::size_t>(index)];
  const kernels::AttentionBatch& batch = window > 0 ? step.sliding : step.full;
  backend_->project_qkv(
      {.x = a.x,
       .norm = w.attn_norm,
       .rms_norm_eps = config_.rms_norm_eps,
       .q_proj = w.q,
       .k_proj = w.k,
       .v_proj = w.v,
       .rope_table = a.rope_table,
       .kv = kv,
       .slot_mapping = batch.slot_mapping,
       .normed = a.normed,
       .q = a.q,
       .k = a.k,
       .v = a.v}
  );
  backend_->attention(
      {.q = a.q,
       .sinks = w.sinks,
       .kv = kv,
       .batch = &batch,
       .sliding_window = window,
       .out = a.attention}
  );
  // The experts' outputs come later: their memory is free.
  backend_->linear_add(a.attention, w.attn_out, a.down.rows(0, step.num_tokens()), a.x);
}

void Transformer::feed_forward(int index, tensor::MutableView x) {
  const LayerWeights& w = weights_->layers[static_cast<std::size_t>(index)];
  const Activations a = pool_.first(static_cast<int>(x.shape()[0]));
  backend_->moe(
      {.x = x,
       .norm = w.mlp_norm,
       .rms_norm_eps = config_.rms_norm_eps,
       .router = w.router,
       .gate_up = w.gate_up,
       .down = w.down,
       .swiglu_limit = config_.swiglu_limit,
       .normed = a.normed,
       .router_logits = a.router_logits,
       .expert_ids = a.expert_ids,
       .expert_weights = a.expert_weights,
       .gate_up_out = a.gate_up,
       .hidden = a.hidden,
       .down_out = a.down}
  );
}

void Transformer::logits(const kernels::Step& step, tensor::View stream) {
  const int rows = step.num_logit_rows();
  const tensor::MutableView x = pool_.logit_x(rows);
  const tensor::MutableView normed = pool_.logit_normed(rows);
  backend_->gather_rows(stream, step.logit_rows, x);
  feed_forward(config_.num_hidden_layers - 1, x);
  backend_->rms_norm(x, weights_->norm, config_.rms_norm_eps, normed);
  backend_->unembed(normed, weights_->unembedding, pool_.logits(rows));
}

}  // namespace gossamer::model
