#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/stopwatch.h"
#include "kernels/backend.h"
#include "kernels/step_bytes.h"

namespace gossamer::kernels {

/// What one kind of operation took, over all its calls.
struct OpProfile {
  std::string_view name;
  std::int64_t num_calls = 0;
  double seconds = 0;  // from the call until its result is there
  double bytes = 0;    // that must be moved: weights, operands and results, each once
};

/// Another backend, of whose operations each can be timed. Between start() and stop() every
/// operation is waited for, and steps are not replayed from recordings, so that they take longer
/// than they do otherwise; outside, calls are passed on as they are. Fused operations count as one.
class ProfilingBackend final : public Backend {
 public:
  /// `inner` must outlive this.
  explicit ProfilingBackend(Backend& inner) : inner_(&inner) {}

  void start();

  /// The operations since start(), in order of their first calls.
  std::vector<OpProfile> stop();

  std::string_view name() const override { return inner_->name(); }
  std::string description() const override { return inner_->description(); }
  DType activation_dtype() const override { return inner_->activation_dtype(); }
  DType operand_dtype() const override { return inner_->operand_dtype(); }
  DType kv_dtype() const override { return inner_->kv_dtype(); }
  Result<std::unique_ptr<tensor::Buffer>> allocate(std::size_t size_bytes) override;
  std::optional<std::uint64_t> free_memory_bytes() const override;
  Result<ResidentWeights> load(const Weights& host, const LoadProgress& progress) override;
  View read(View from) override { return inner_->read(from); }
  void copy(View from, MutableView to) override { inner_->copy(from, to); }
  void synchronize() override { inner_->synchronize(); }
  ThreadPool& host_threads() override { return inner_->host_threads(); }
  int preferred_step_tokens() const override { return inner_->preferred_step_tokens(); }
  Result<double> measure_read_bandwidth() override { return inner_->measure_read_bandwidth(); }
  Status reserve(const StepLimits& limits) override;
  Step begin_step(const StepInputs& inputs) override;
  void run(const Step& step, const std::function<void()>& ops) override;

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

  void project_qkv(const QkvArgs& args) override;
  void linear_add(View y, const Linear& layer, MutableView scratch, MutableView x) override;
  void moe(const MoeArgs& args) override;
  bool forward(const ForwardArgs& args) override;
  bool can_sample(const SampleRow& row) const override { return inner_->can_sample(row); }
  void sample(View logits, std::span<const SampleRow> rows, std::span<SampleResult> out) override;

 private:
  template <class Op>
  void timed(std::string_view name, double bytes, const Op& op);
  void record(std::string_view name, double bytes, const Stopwatch& time);
  StepSequences sequences() const { return {cu_seqlens_q_, context_lens_}; }

  Backend* inner_;
  bool is_on_ = false;
  std::vector<OpProfile> ops_;
  int experts_per_token_ = 0;
  // Of the step under way.
  std::vector<std::int32_t> cu_seqlens_q_;
  std::vector<std::int32_t> context_lens_;
};

}  // namespace gossamer::kernels
