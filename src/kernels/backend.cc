#include "kernels/backend.h"

namespace gossamer::kernels {

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
