#pragma once

#include <vector>

#include "kernels/backend.h"

namespace gossamer::kernels::reference {

/// The specification: short scalar loops in double precision, nothing rounded between operations.
/// Every other backend is tested against it.
class ReferenceBackend final : public Backend {
 public:
  std::string_view name() const override { return "reference"; }
  std::string description() const override { return "double precision, 1 thread"; }
  DType activation_dtype() const override { return DType::kF64; }

  Result<std::unique_ptr<tensor::Buffer>> allocate(std::size_t size_bytes) override;
  Status reserve(const StepLimits& limits) override;

  void embed(View tokens, View embedding, MutableView x) override;
  void rms_norm(View x, View scale, double eps, MutableView y) override;
  void linear(View x, const Linear& layer, MutableView y) override;
  void add(View y, MutableView x) override;
  void rope_table(View positions, const Rope& rope, MutableView table) override;
  void rotate(View table, MutableView x) override;
  void store_kv(View k, View v, View slot_mapping, const KvLayer& kv) override;
  void attention(const AttentionArgs& args) override;
  void route(View router_logits, MutableView expert_ids, MutableView expert_weights) override;
  void expert_linear(View x, View expert_ids, const ExpertLinear& layer, MutableView y) override;
  void swiglu(View x, double limit, MutableView y) override;
  void combine_experts(View y, View weights, MutableView x) override;
  void gather_rows(View x, View rows, MutableView out) override;
  void unembed(View x, View unembedding, MutableView logits) override;

 private:
  std::vector<double> scores_;  // [max_context]
};

}  // namespace gossamer::kernels::reference
