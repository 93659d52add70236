#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kernels/backend.h"
#include "kernels/cuda/device_sampler.cuh"
#include "kernels/cuda/devices.h"
#include "kernels/cuda/expert_gemm.cuh"
#include "kernels/cuda/expert_groups.cuh"
#include "kernels/cuda/gemm.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/persistent_decode.cuh"
#include "kernels/cuda/step_recordings.cuh"
#include "kernels/cuda/step_upload.cuh"

namespace gossamer::kernels::cuda {

/// See cuda_backend.h. Operations are launched on one stream; what they leave each other, besides
/// their arguments, is in scratch memory that reserve() makes.
class CudaBackend final : public Backend {
 public:
  CudaBackend(const CudaDevice& device, int num_multiprocessors);
  ~CudaBackend() override;

  std::string_view name() const override { return "cuda"; }
  std::string description() const override;
  DType activation_dtype() const override { return DType::kF32; }
  DType operand_dtype() const override { return DType::kBF16; }

  Result<std::unique_ptr<tensor::Buffer>> allocate(std::size_t size_bytes) override;
  std::optional<std::uint64_t> free_memory_bytes() const override;
  Result<ResidentWeights> load(const Weights& host, const LoadProgress& progress) override;
  View read(View from) override;
  void copy(View from, MutableView to) override;
  void synchronize() override;
  int preferred_step_tokens() const override { return 2048; }
  Result<double> measure_read_bandwidth() override;
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

  // Overrides: q, k and v are one product, whose rows are rotated and stored in one go; the
  // residual is added where a product is stored; SwiGLU is applied where gate_up's product is, so
  // that gate_up_out stays unwritten; both products of an expert share a grouping.
  void project_qkv(const QkvArgs& args) override;
  void linear_add(View y, const Linear& layer, MutableView scratch, MutableView x) override;
  void moe(const MoeArgs& args) override;

  /// Decode steps of one token: one persistent kernel, where the device can run it.
  bool forward(const ForwardArgs& args) override;

  bool can_sample(const SampleRow& row) const override;
  void sample(View logits, std::span<const SampleRow> rows, std::span<SampleResult> out) override;

 private:
  /// What operations need besides their arguments, for steps within the limits.
  struct Scratch {
    std::unique_ptr<DeviceBuffer> products;
    std::unique_ptr<DeviceBuffer> attention;
    std::unique_ptr<DeviceBuffer> groups;
    std::unique_ptr<DeviceBuffer> qkv;  // BF16 [max_tokens, heads of q, k and v, head_dim]
    std::optional<StepUpload> upload;
    std::unique_ptr<DeviceSampler> sampler;
    std::optional<PersistentDecode> decode;
  };

  static Result<Scratch> make_scratch(const StepLimits& limits, int num_multiprocessors);

  /// Makes the device the calling thread's.
  void use_device() const;
  /// The stream that every operation is launched on, after use_device().
  cudaStream_t stream() const;

  /// What a product over experts writes, and how.
  struct ExpertOutput {
    ExpertGemmOutput kind;
    float swiglu_limit;
    MutableView y;  // [num_pairs, ..]
  };

  void multiply(View x, const Linear& layer, GemmOutput output, MutableView y);
  ExpertGroups group_by_expert(View expert_ids, int num_experts);
  void multiply_experts(
      View x, const ExpertGroups& groups, const ExpertLinear& layer, ExpertOutput output
  );

  CudaDevice device_;
  int num_multiprocessors_;
  Stream stream_;
  StepLimits limits_;
  Scratch scratch_;
  std::unique_ptr<PinnedBuffer> read_;  // large enough for the logits, and what was read so far
  StepRecordings recordings_;
};

}  // namespace gossamer::kernels::cuda
