#include "kernels/backend.h"

#include <algorithm>

namespace gossamer::kernels {
namespace {

template <class T>
View host_view(std::span<const T> values) {
  static_assert(sizeof(T) == sizeof(std::int32_t));
  return View(
      std::as_bytes(values).data(), DType::kI32, {static_cast<std::int64_t>(values.size())}
  );
}

AttentionBatch host_batch(const StepInputs& inputs, const GroupInputs& group) {
  AttentionBatch batch{
      .cu_seqlens_q = host_view(inputs.cu_seqlens_q),
      .context_lens = host_view(inputs.context_lens),
      .slot_mapping = host_view(group.slot_mapping),
      .block_table = host_view(group.block_table),
      .block_table_starts = host_view(group.block_table_starts),
      .num_sequences = static_cast<int>(inputs.context_lens.size()),
      .num_tokens = static_cast<int>(inputs.tokens.size()),
  };
  for (std::size_t s = 0; s < inputs.context_lens.size(); ++s) {
    const int query_len = inputs.cu_seqlens_q[s + 1] - inputs.cu_seqlens_q[s];
    batch.max_query_len = std::max(batch.max_query_len, query_len);
    batch.max_context_len = std::max<int>(batch.max_context_len, inputs.context_lens[s]);
  }
  return batch;
}

}  // namespace

Result<ResidentWeights> Backend::load(const Weights& host, const LoadProgress& /*progress*/) {
  return ResidentWeights{host, {}};
}

void Backend::copy(View from, MutableView to) {
  std::copy_n(from.data(), from.size_bytes(), to.data());
}

Result<double> Backend::measure_read_bandwidth() {
  return make_error(ErrorCode::kUnsupported, "{} does not measure its memory", name());
}

Step Backend::begin_step(const StepInputs& inputs) {
  return {
      .tokens = host_view(inputs.tokens),
      .positions = host_view(inputs.positions),
      .logit_rows = host_view(inputs.logit_rows),
      .full = host_batch(inputs, inputs.full),
      .sliding = host_batch(inputs, inputs.sliding),
  };
}

void Backend::run(const Step& /*step*/, const std::function<void()>& ops) {
  ops();
}

bool Backend::forward(const ForwardArgs& /*args*/) {
  return false;
}

bool Backend::can_sample(const SampleRow& /*row*/) const {
  return false;
}

void Backend::sample(
    View /*logits*/, std::span<const SampleRow> /*rows*/, std::span<SampleResult> /*out*/
) {
  GOSSAMER_CHECK(false);
}

void Backend::project_qkv(const QkvArgs& args) {
  rms_norm(args.x, args.norm, args.rms_norm_eps, args.normed);
  linear(args.normed, args.q_proj, args.q);
  linear(args.normed, args.k_proj, args.k);
  linear(args.normed, args.v_proj, args.v);
  rotate(args.rope_table, args.q);
  rotate(args.rope_table, args.k);
  store_kv(args.k, args.v, args.slot_mapping, args.kv);
}

void Backend::linear_add(View y, const Linear& layer, MutableView scratch, MutableView x) {
  linear(y, layer, scratch);
  add(scratch, x);
}

void Backend::moe(const MoeArgs& args) {
  rms_norm(args.x, args.norm, args.rms_norm_eps, args.normed);
  linear(args.normed, args.router, args.router_logits);
  route(args.router_logits, args.expert_ids, args.expert_weights);
  expert_linear(args.normed, args.expert_ids, args.gate_up, args.gate_up_out);
  swiglu(args.gate_up_out, args.swiglu_limit, args.hidden);
  expert_linear(args.hidden, args.expert_ids, args.down, args.down_out);
  combine_experts(args.down_out, args.expert_weights, args.x);
}

}  // namespace gossamer::kernels
