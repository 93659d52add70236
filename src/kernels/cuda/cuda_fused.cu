#include "kernels/cuda/cuda_backend.cuh"
#include "kernels/cuda/device_views.cuh"
#include "kernels/cuda/packed_weights.h"
#include "kernels/cuda/place_qkv.cuh"

namespace gossamer::kernels::cuda {
namespace {

/// Whether b's rows are those behind a's, in weight and bias.
bool follows(const Linear& a, const Linear& b) {
  const std::int64_t rows = a.weight.shape()[0];
  return b.weight.data() == a.weight.data() + packed_bf16_bytes(rows, a.weight.shape()[1]) &&
         b.bias.data() == a.bias.data() + a.bias.size_bytes();
}

/// Three products as one. The weights are as load() lays them out.
Linear joined(const Linear& q, const Linear& k, const Linear& v) {
  GOSSAMER_CHECK(follows(q, k) && follows(k, v));
  const std::int64_t rows = q.weight.shape()[0] + k.weight.shape()[0] + v.weight.shape()[0];
  return {
      .weight = View(q.weight.data(), q.weight.dtype(), {rows, q.weight.shape()[1]}),
      .bias = View(q.bias.data(), q.bias.dtype(), {rows}),
  };
}

}  // namespace

void CudaBackend::project_qkv(const QkvArgs& args) {
  const Linear layer = joined(args.q_proj, args.k_proj, args.v_proj);
  const std::int64_t num_tokens = args.x.shape()[0];
  const MutableView qkv =
      scratch_.qkv->view(0, DType::kBF16, {num_tokens, layer.weight.shape()[0]});
  rms_norm(args.x, args.norm, args.rms_norm_eps, args.normed);
  multiply(args.normed, layer, GemmOutput::kBf16, qkv);
  launch_place_qkv(
      {.qkv = bf16(qkv),
       .rope_table = args.rope_table.as<float>(),
       .slot_mapping = args.slot_mapping.as<std::int32_t>(),
       .q = bf16(args.q),
       .keys = bf16(args.kv.keys),
       .values = bf16(args.kv.values),
       .num_tokens = static_cast<int>(num_tokens),
       .num_heads = extent(args.q, 1),
       .num_kv_heads = extent(args.k, 1)},
      stream()
  );
}

void CudaBackend::linear_add(View y, const Linear& layer, MutableView /*scratch*/, MutableView x) {
  multiply(y, layer, GemmOutput::kAddF32, x);
}

void CudaBackend::moe(const MoeArgs& args) {
  if (args.x.shape()[0] == 0) return;
  rms_norm(args.x, args.norm, args.rms_norm_eps, args.normed);
  multiply(args.normed, args.router, GemmOutput::kF32, args.router_logits);
  route(args.router_logits, args.expert_ids, args.expert_weights);
  const ExpertGroups groups = group_by_expert(args.expert_ids, extent(args.router.weight, 0));
  multiply_experts(
      args.normed,
      groups,
      args.gate_up,
      {.kind = ExpertGemmOutput::kSwiglu,
       .swiglu_limit = static_cast<float>(args.swiglu_limit),
       .y = args.hidden}
  );
  multiply_experts(
      args.hidden,
      groups,
      args.down,
      {.kind = ExpertGemmOutput::kF32, .swiglu_limit = 0, .y = args.down_out}
  );
  combine_experts(args.down_out, args.expert_weights, args.x);
}

}  // namespace gossamer::kernels::cuda
