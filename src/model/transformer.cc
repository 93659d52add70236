#include "model/transformer.h"

#include <utility>

namespace gossamer::model {

Result<Transformer> Transformer::create(
    const Config& config, const Weights& weights, kernels::Backend& backend, StepSize size
) {
  GOSSAMER_RETURN_IF_ERROR(backend.reserve(
      {.max_tokens = size.max_tokens,
       .max_sequences = size.max_sequences,
       .max_context = size.max_context,
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
      rope_(rope_frequencies(config)) {}

tensor::View Transformer::forward(const Batch& batch, const KvCache& cache) {
  const Activations a = pool_.first(batch.num_tokens());
  backend_->embed(batch.tokens, weights_->embedding, a.x);
  backend_->rope_table(
      batch.positions, {rope_.inverse_frequencies, rope_.concentration}, a.rope_table
  );
  for (int i = 0; i < config_.num_hidden_layers; ++i) layer(i, batch, cache.layer(i), a);
  return logits(batch, a);
}

void Transformer::layer(
    int index, const Batch& batch, const kernels::KvLayer& kv, const Activations& a
) {
  const LayerWeights& w = weights_->layers[static_cast<std::size_t>(index)];
  const bool sliding = config_.layer_types[static_cast<std::size_t>(index)] == LayerType::kSliding;
  const Batch::Group& group = sliding ? batch.sliding : batch.full;
  const kernels::AttentionBatch attention_batch{
      .cu_seqlens_q = batch.cu_seqlens_q,
      .context_lens = batch.context_lens,
      .block_tables = group.block_tables,
      .slot_mapping = group.slot_mapping,
      .sliding_window = sliding ? config_.sliding_window : 0,
  };

  backend_->project_qkv(
      {.x = a.x,
       .norm = w.attn_norm,
       .rms_norm_eps = config_.rms_norm_eps,
       .q_proj = w.q,
       .k_proj = w.k,
       .v_proj = w.v,
       .rope_table = a.rope_table,
       .kv = kv,
       .slot_mapping = group.slot_mapping,
       .normed = a.normed,
       .q = a.q,
       .k = a.k,
       .v = a.v}
  );
  backend_->attention(
      {.q = a.q, .sinks = w.sinks, .kv = kv, .batch = &attention_batch, .out = a.attention}
  );
  backend_->linear_add(a.attention, w.attn_out, a.normed, a.x);
  backend_->moe(
      {.x = a.x,
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

tensor::View Transformer::logits(const Batch& batch, const Activations& a) {
  const int rows = static_cast<int>(batch.logit_rows.size());
  const tensor::MutableView out = pool_.logits(rows);
  if (rows == 0) return out;
  backend_->gather_rows(a.x, batch.logit_rows, pool_.logit_x(rows));
  backend_->rms_norm(
      pool_.logit_x(rows), weights_->norm, config_.rms_norm_eps, pool_.logit_normed(rows)
  );
  backend_->unembed(pool_.logit_normed(rows), weights_->unembedding, out);
  return out;
}

}  // namespace gossamer::model
