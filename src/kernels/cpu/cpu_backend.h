#pragma once

#include <vector>

#include "base/thread_pool.h"
#include "kernels/backend.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/matmul.h"

namespace gossamer::kernels::cpu {

/// The model on the cores of this machine: float activations, weights read as released (bf16,
/// packed MXFP4), vector instructions chosen at run time. Results do not depend on batch
/// composition, chunking or the number of threads, to the last bit; they do depend on the
/// instruction set, by rounding.
class CpuBackend : public Backend {
 public:
  /// num_threads: at least 1, the caller's thread included. kv_dtype: F32, or F16, which rounds
  /// keys and values, takes half the memory, and makes attention up to 1.7 times as fast where the
  /// processor's caches do not hold what it reads.
  explicit CpuBackend(int num_threads, DType kv_dtype = DType::kF32);

  std::string_view name() const override { return "cpu"; }
  std::string description() const override;
  DType activation_dtype() const override { return DType::kF32; }
  DType kv_dtype() const override { return kv_dtype_; }

  Result<std::unique_ptr<tensor::Buffer>> allocate(std::size_t size_bytes) override;
  Result<double> measure_read_bandwidth() override;
  ThreadPool& host_threads() override { return pool_; }
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

  // Overrides: fewer parallel loops, what a token needs in one of them; the residual added where
  // the product is stored; the experts' rows in the experts' order.
  void project_qkv(const QkvArgs& args) override;
  void linear_add(View y, const Linear& layer, MutableView scratch, MutableView x) override;
  void moe(const MoeArgs& args) override;

 private:
  /// One product of a group that runs as a single parallel loop.
  struct Product {
    View x;
    Linear layer;
    MutableView y;
    Store store = Store::kAssign;
  };
  /// A stretch of a step's attention: a tile's tokens of one sequence.
  struct TileWork {
    int sequence;
    std::int32_t first_row;
    std::int32_t num_tokens;
  };
  /// The outputs of one expert, as a range of `order_`.
  struct ExpertWork {
    std::int32_t expert;
    std::size_t begin;
    std::size_t end;
  };

  void multiply(std::span<const Product> products);
  /// Norms, routes and groups; the normed rows are in split_x_ too.
  void choose_experts(const MoeArgs& args);
  /// The products of experts_ with x_rows_ to y_rows_, which are in their order.
  void multiply_experts(const ExpertLinear& layer);
  void group_by_expert(std::span<const std::int32_t> expert_ids, std::int64_t num_experts);
  void for_rows(std::int64_t rows, std::int64_t floats_per_row, TaskRef row);
  float* thread_scratch(int thread);

  DType kv_dtype_;
  ThreadPool pool_;
  // Sized by reserve(), so that a step allocates nothing.
  std::vector<const float*> x_rows_;
  std::vector<float*> y_rows_;
  std::vector<float> split_x_;  // activations in split order
  std::vector<float> scratch_;  // [num_threads, scratch_stride_]
  std::vector<TileWork> tiles_;
  std::vector<std::int32_t> order_;  // outputs sorted by expert
  std::vector<std::size_t> expert_starts_;
  std::vector<ExpertWork> experts_;
  std::size_t scratch_stride_ = 0;
};

}  // namespace gossamer::kernels::cpu
