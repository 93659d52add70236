#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/token_id.h"
#include "kernels/weights.h"
#include "tensor/buffer.h"
#include "tensor/view.h"

namespace gossamer::kernels {

using tensor::DType;
using tensor::MutableView;
using tensor::View;

/// Index of a block in a paged KV cache group. kNoBlock stands where a sliding window has passed on
/// and the block was given back.
using BlockId = std::int32_t;
inline constexpr BlockId kNoBlock = -1;

/// Positions that share a block of the KV cache.
inline constexpr int kBlockSize = 16;

/// The extents that a backend sizes its scratch by: the largest step it will be asked for.
struct StepLimits {
  int max_tokens = 0;
  int max_sequences = 0;
  int max_context = 0;
  int hidden_size = 0;
  int intermediate_size = 0;
  int num_attention_heads = 0;
  int num_key_value_heads = 0;
  int head_dim = 0;
  int num_experts = 0;
  int experts_per_token = 0;
};

/// One layer's keys and values, [num_blocks, num_key_value_heads, kBlockSize, head_dim]. The order
/// inside a (block, head) cell is the backend's own.
struct KvLayer {
  MutableView keys;
  MutableView values;
};

/// Which tokens of a step belong to which sequence, and where their keys and values live. The new
/// tokens of sequence s are rows [cu_seqlens_q[s], cu_seqlens_q[s + 1]), the last positions of its
/// context.
struct AttentionBatch {
  std::span<const std::int32_t> cu_seqlens_q;              // [num_sequences + 1]
  std::span<const std::int32_t> context_lens;              // [num_sequences], new tokens included
  std::span<const std::span<const BlockId>> block_tables;  // [num_sequences][position / kBlockSize]
  std::span<const std::int64_t> slot_mapping;  // [num_tokens], block * kBlockSize + offset
  int sliding_window = 0;                      // keys seen, own position included; 0: all

  int num_sequences() const { return static_cast<int>(context_lens.size()); }
};

/// Inverse frequencies, one for each pair of a head, and the factor on cosine and sine (YaRN).
struct Rope {
  std::span<const double> inverse_frequencies;  // [head_dim / 2]
  double concentration = 1.0;
};

struct AttentionArgs {
  View q;      // [num_tokens, num_attention_heads, head_dim], rotated
  View sinks;  // BF16 [num_attention_heads]
  KvLayer kv;
  const AttentionBatch* batch = nullptr;
  MutableView out;  // [num_tokens, num_attention_heads, head_dim]
};

/// The first half of a layer's attention: normalise, project, rotate, remember.
struct QkvArgs {
  View x;     // [num_tokens, hidden_size]
  View norm;  // BF16 [hidden_size]
  double rms_norm_eps = 0;
  Linear q_proj, k_proj, v_proj;
  View rope_table;  // [num_tokens, head_dim]: cosines, then sines
  KvLayer kv;
  std::span<const std::int64_t> slot_mapping;  // [num_tokens]
  MutableView normed;                          // scratch [num_tokens, hidden_size]
  MutableView q;                               // [num_tokens, num_attention_heads, head_dim]
  MutableView k;  // scratch [num_tokens, num_key_value_heads, head_dim]
  MutableView v;  // scratch [num_tokens, num_key_value_heads, head_dim]
};

/// The mixture of experts of a layer, with its norm and residual add.
struct MoeArgs {
  MutableView x;  // [num_tokens, hidden_size], added to
  View norm;      // BF16 [hidden_size]
  double rms_norm_eps = 0;
  Linear router;
  ExpertLinear gate_up;  // rows interleaved: 2k gates channel k, 2k + 1 is its linear part
  ExpertLinear down;
  double swiglu_limit = 0;
  MutableView normed;                  // scratch [num_tokens, hidden_size]
  MutableView router_logits;           // scratch [num_tokens, num_experts]
  std::span<std::int32_t> expert_ids;  // scratch [num_tokens * experts_per_token]
  MutableView expert_weights;          // scratch [num_tokens, experts_per_token]
  MutableView gate_up_out;  // scratch [num_tokens * experts_per_token, 2 * intermediate_size]
  MutableView hidden;       // scratch [num_tokens * experts_per_token, intermediate_size]
  MutableView down_out;     // scratch [num_tokens * experts_per_token, hidden_size]
};

/// The operations of a gpt-oss model on one kind of hardware. Primitives are pure; each fused
/// operation has a body that composes primitives, so that a new backend is complete after the
/// primitives, and an override is an optimisation that must equal the composition. Activations are
/// of activation_dtype(); weights are BF16 or MXFP4 as released.
///
/// One thread calls a backend at a time. Operations on host memory are complete when they return.
/// Nothing is allocated after reserve().
class Backend {
 public:
  virtual ~Backend() = default;

  /// "reference", "cpu".
  virtual std::string_view name() const = 0;
  /// What it runs on, for people: "AVX-512, 8 threads".
  virtual std::string description() const = 0;
  virtual DType activation_dtype() const = 0;

  /// Memory that the operations can use, zeroed. kOutOfMemory says how much was asked for.
  virtual Result<std::unique_ptr<tensor::Buffer>> allocate(std::size_t size_bytes) = 0;

  /// Sizes the scratch for steps within the limits. Call once, before the first operation.
  virtual Status reserve(const StepLimits& limits) = 0;

  // --- primitives ---

  /// x[t] = embedding[tokens[t]]. Tokens must be below the number of rows.
  virtual void embed(std::span<const TokenId> tokens, View embedding, MutableView x) = 0;

  /// y[t] = x[t] / sqrt(mean(x[t]^2) + eps) * scale.
  virtual void rms_norm(View x, View scale, double eps, MutableView y) = 0;

  /// y[t] = W x[t] + b.
  virtual void linear(View x, const Linear& layer, MutableView y) = 0;

  /// x += y.
  virtual void add(View y, MutableView x) = 0;

  /// table[t] = concentration * (cos(p f_0), ..., cos(p f_{h-1}), sin(p f_0), ...), p =
  /// positions[t].
  virtual void rope_table(
      std::span<const std::int32_t> positions, const Rope& rope, MutableView table
  ) = 0;

  /// Rotates pairs (i, i + head_dim / 2) of every head in place. x is [num_tokens, heads,
  /// head_dim].
  virtual void rotate(View table, MutableView x) = 0;

  /// Writes keys and values of new tokens, [num_tokens, num_key_value_heads, head_dim], into their
  /// slots.
  virtual void store_kv(
      View k, View v, std::span<const std::int64_t> slot_mapping, const KvLayer& kv
  ) = 0;

  /// Causal attention over the paged cache, in the window, with a sink in each head's softmax
  /// denominator.
  virtual void attention(const AttentionArgs& args) = 0;

  /// The experts of each token, best first (ties: lowest index), and the softmax over their logits.
  virtual void route(
      View router_logits, std::span<std::int32_t> expert_ids, MutableView expert_weights
  ) = 0;

  /// y[i] = W_e x[row] + b_e with e = expert_ids[i]. x has a row for each i, or one for each group
  /// of expert_ids.size() / x rows consecutive i (a token's experts share its row).
  virtual void expert_linear(
      View x, std::span<const std::int32_t> expert_ids, const ExpertLinear& layer, MutableView y
  ) = 0;

  /// y[k] = u sigmoid(1.702 u) (v + 1), u = min(x[2k], limit), v = clamp(x[2k + 1], -limit, limit).
  virtual void swiglu(View x, double limit, MutableView y) = 0;

  /// x[t] += sum_j weights[t, j] * y[t * experts_per_token + j].
  virtual void combine_experts(View y, View weights, MutableView x) = 0;

  /// out[i] = x[rows[i]].
  virtual void gather_rows(View x, std::span<const std::int32_t> rows, MutableView out) = 0;

  /// logits = W x, as F32 whatever the activations are. x is [rows, hidden_size].
  virtual void unembed(View x, View unembedding, MutableView logits) = 0;

  // --- fused: defaults compose the primitives ---

  virtual void project_qkv(const QkvArgs& args);

  /// x += W y + b. scratch is shaped as x.
  virtual void linear_add(View y, const Linear& layer, MutableView scratch, MutableView x);

  virtual void moe(const MoeArgs& args);
};

}  // namespace gossamer::kernels
