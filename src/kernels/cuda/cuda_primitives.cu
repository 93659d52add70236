#include <algorithm>
#include <utility>

#include "kernels/cuda/add.cuh"
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/combine_experts.cuh"
#include "kernels/cuda/cuda_backend.cuh"
#include "kernels/cuda/device_views.cuh"
#include "kernels/cuda/embed.cuh"
#include "kernels/cuda/expert_gemm.cuh"
#include "kernels/cuda/gather_rows.cuh"
#include "kernels/cuda/rms_norm.cuh"
#include "kernels/cuda/rope_table.cuh"
#include "kernels/cuda/rotate.cuh"
#include "kernels/cuda/route.cuh"
#include "kernels/cuda/store_kv.cuh"
#include "kernels/cuda/swiglu.cuh"

namespace gossamer::kernels::cuda {

void CudaBackend::embed(View tokens, View embedding, MutableView x) {
  launch_embed(
      {.tokens = tokens.as<std::int32_t>(),
       .embedding = bf16(embedding),
       .x = x.as<float>(),
       .num_tokens = extent(tokens, 0),
       .hidden_size = extent(embedding, 1)},
      stream()
  );
}

void CudaBackend::rms_norm(View x, View scale, double eps, MutableView y) {
  launch_rms_norm(
      {.x = x.as<float>(),
       .scale = bf16(scale),
       .eps = static_cast<float>(eps),
       .y = y.data(),
       .y_dtype = y.dtype(),
       .num_tokens = extent(x, 0),
       .hidden_size = extent(scale, 0)},
      stream()
  );
}

void CudaBackend::multiply(View x, const Linear& layer, GemmOutput output, MutableView y) {
  const int rows = extent(layer.weight, 0);
  const int columns = extent(layer.weight, 1);
  GOSSAMER_CHECK((output == GemmOutput::kBf16 ? DType::kBF16 : DType::kF32) == y.dtype());
  launch_gemm(
      {.x = bf16(x),
       .weight = layer.weight.data(),
       .bias = optional_bf16(layer.bias),
       .y = y.data(),
       .scratch = scratch_.products->data(),
       .x_stride = columns,
       .y_stride = rows,
       .num_tokens = extent(x, 0),
       .rows = rows,
       .columns = columns,
       .output = output},
      stream()
  );
}

void CudaBackend::linear(View x, const Linear& layer, MutableView y) {
  multiply(x, layer, y.dtype() == DType::kBF16 ? GemmOutput::kBf16 : GemmOutput::kF32, y);
}

void CudaBackend::add(View y, MutableView x) {
  launch_add({.y = y.as<float>(), .x = x.as<float>(), .size = x.shape().num_elements()}, stream());
}

void CudaBackend::rope_table(View positions, const Rope& rope, MutableView table) {
  RopeTableArgs args{
      .positions = positions.as<std::int32_t>(),
      .table = table.as<float>(),
      .num_tokens = extent(positions, 0),
      .num_pairs = static_cast<int>(rope.inverse_frequencies.size()),
      .concentration = rope.concentration,
      .inverse_frequencies = {},
  };
  GOSSAMER_CHECK(rope.inverse_frequencies.size() <= args.inverse_frequencies.size());
  std::copy(
      rope.inverse_frequencies.begin(),
      rope.inverse_frequencies.end(),
      args.inverse_frequencies.begin()
  );
  launch_rope_table(args, stream());
}

void CudaBackend::rotate(View table, MutableView x) {
  launch_rotate(
      {.table = table.as<float>(),
       .x = bf16(x),
       .num_tokens = extent(x, 0),
       .num_heads = extent(x, 1)},
      stream()
  );
}

void CudaBackend::store_kv(View k, View v, View slot_mapping, const KvLayer& kv) {
  launch_store_kv(
      {.k = bf16(k),
       .v = bf16(v),
       .slot_mapping = slot_mapping.as<std::int32_t>(),
       .keys = bf16(kv.keys),
       .values = bf16(kv.values),
       .num_tokens = extent(k, 0),
       .num_heads = extent(k, 1)},
      stream()
  );
}

void CudaBackend::attention(const AttentionArgs& args) {
  const AttentionBatch& batch = *args.batch;
  launch_attention(
      {.q = bf16(args.q),
       .sinks = bf16(args.sinks),
       .keys = bf16(args.kv.keys),
       .values = bf16(args.kv.values),
       .cu_seqlens_q = batch.cu_seqlens_q.as<std::int32_t>(),
       .context_lens = batch.context_lens.as<std::int32_t>(),
       .block_table = batch.block_table.as<std::int32_t>(),
       .block_table_starts = batch.block_table_starts.as<std::int32_t>(),
       .num_sequences = batch.num_sequences,
       .num_tokens = batch.num_tokens,
       .max_query_len = batch.max_query_len,
       .max_context_len = batch.max_context_len,
       .num_heads = extent(args.q, 1),
       .num_kv_heads = extent(args.kv.keys, 1),
       .sliding_window = args.sliding_window,
       .num_multiprocessors = num_multiprocessors_,
       .out = bf16(args.out),
       .scratch = scratch_.attention->data()},
      stream()
  );
}

void CudaBackend::route(View router_logits, MutableView expert_ids, MutableView expert_weights) {
  launch_route(
      {.logits = router_logits.as<float>(),
       .expert_ids = expert_ids.as<std::int32_t>(),
       .expert_weights = expert_weights.as<float>(),
       .num_tokens = extent(router_logits, 0),
       .num_experts = extent(router_logits, 1),
       .experts_per_token = extent(expert_weights, 1)},
      stream()
  );
}

ExpertGroups CudaBackend::group_by_expert(View expert_ids, int num_experts) {
  const ExpertGroups groups = expert_groups_at(
      scratch_.groups->data(),
      std::int64_t{limits_.max_tokens} * limits_.experts_per_token,
      limits_.num_experts
  );
  launch_group_by_expert(
      {.expert_ids = expert_ids.as<std::int32_t>(),
       .groups = groups,
       .num_pairs = extent(expert_ids, 0),
       .num_experts = num_experts},
      stream()
  );
  return groups;
}

void CudaBackend::multiply_experts(
    View x, const ExpertGroups& groups, const ExpertLinear& layer, ExpertOutput output
) {
  launch_expert_gemm(
      {.x = bf16(x),
       .weight = layer.weight.blocks.data(),
       .bias = bf16(layer.bias),
       .groups = groups,
       .y = output.y.data(),
       .num_pairs = extent(output.y, 0),
       .pairs_per_row = extent(output.y, 0) / extent(x, 0),
       .num_experts = static_cast<int>(layer.weight.num_matrices()),
       .rows = static_cast<int>(layer.weight.rows()),
       .columns = static_cast<int>(layer.weight.columns()),
       .output = output.kind,
       .swiglu_limit = output.swiglu_limit},
      stream()
  );
}

void CudaBackend::expert_linear(View x, View expert_ids, const ExpertLinear& layer, MutableView y) {
  if (expert_ids.shape()[0] == 0) return;
  const ExpertGroups groups =
      group_by_expert(expert_ids, static_cast<int>(layer.weight.num_matrices()));
  GOSSAMER_CHECK(y.dtype() == DType::kF32);
  multiply_experts(x, groups, layer, {.kind = ExpertGemmOutput::kF32, .swiglu_limit = 0, .y = y});
}

void CudaBackend::swiglu(View x, double limit, MutableView y) {
  launch_swiglu(
      {.x = x.as<float>(),
       .limit = static_cast<float>(limit),
       .y = bf16(y),
       .size = y.shape().num_elements()},
      stream()
  );
}

void CudaBackend::combine_experts(View y, View weights, MutableView x) {
  launch_combine_experts(
      {.y = y.as<float>(),
       .weights = weights.as<float>(),
       .x = x.as<float>(),
       .num_tokens = extent(x, 0),
       .experts_per_token = extent(weights, 1),
       .hidden_size = extent(x, 1)},
      stream()
  );
}

void CudaBackend::gather_rows(View x, View rows, MutableView out) {
  launch_gather_rows(
      {.x = x.as<float>(),
       .rows = rows.as<std::int32_t>(),
       .out = out.as<float>(),
       .num_rows = extent(rows, 0),
       .num_columns = extent(x, 1)},
      stream()
  );
}

void CudaBackend::unembed(View x, View unembedding, MutableView logits) {
  multiply(x, {.weight = unembedding, .bias = {}}, GemmOutput::kF32, logits);
}

}  // namespace gossamer::kernels::cuda
