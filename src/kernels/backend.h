#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "base/token_id.h"
#include "kernels/sampling.h"
#include "kernels/step.h"
#include "kernels/weights.h"
#include "tensor/buffer.h"
#include "tensor/view.h"

namespace gossamer::kernels {

using tensor::DType;
using tensor::MutableView;
using tensor::View;

/// The extents that a backend sizes its scratch by: the largest step it will be asked for.
struct StepLimits {
  int max_tokens = 0;
  int max_sequences = 0;
  int max_logit_rows = 0;
  int max_context = 0;
  int vocab_size = 0;
  int num_hidden_layers = 0;
  int hidden_size = 0;
  int intermediate_size = 0;
  int num_attention_heads = 0;
  int num_key_value_heads = 0;
  int head_dim = 0;
  int num_experts = 0;
  int experts_per_token = 0;
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
  int sliding_window = 0;  // keys seen, own position included; 0: all
  MutableView out;         // [num_tokens, num_attention_heads, head_dim]
};

/// The first half of a layer's attention: normalise, project, rotate, remember.
struct QkvArgs {
  View x;     // [num_tokens, hidden_size]
  View norm;  // BF16 [hidden_size]
  double rms_norm_eps = 0;
  Linear q_proj, k_proj, v_proj;
  View rope_table;  // [num_tokens, head_dim]: cosines, then sines
  KvLayer kv;
  View slot_mapping;   // I32 [num_tokens]
  MutableView normed;  // scratch [num_tokens, hidden_size]
  MutableView q;       // [num_tokens, num_attention_heads, head_dim]
  MutableView k;       // scratch [num_tokens, num_key_value_heads, head_dim]
  MutableView v;       // scratch [num_tokens, num_key_value_heads, head_dim]
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
  MutableView normed;          // scratch [num_tokens, hidden_size]
  MutableView router_logits;   // scratch [num_tokens, num_experts]
  MutableView expert_ids;      // scratch I32 [num_tokens * experts_per_token]
  MutableView expert_weights;  // scratch [num_tokens, experts_per_token]
  MutableView gate_up_out;     // scratch [num_tokens * experts_per_token, 2 * intermediate_size]
  MutableView hidden;          // scratch [num_tokens * experts_per_token, intermediate_size]
  MutableView down_out;        // scratch [num_tokens * experts_per_token, hidden_size]
};

/// A whole step as one operation: everything that it reads and writes.
struct ForwardArgs {
  const Weights* weights = nullptr;
  const Step* step = nullptr;
  std::span<const KvLayer> kv;                    // [num_hidden_layers]
  std::span<const std::int32_t> sliding_windows;  // [num_hidden_layers], 0: full attention
  Rope rope;
  double rms_norm_eps = 0;
  double swiglu_limit = 0;
  MutableView logits;  // F32 [num_logit_rows, vocab_size]
};

/// Weights as a backend reads them, with the memory that it made for them. A host backend's are the
/// checkpoint's own. Views of a device's weights keep their shapes, but the bytes behind them are
/// laid out as the backend's kernels like it.
struct ResidentWeights {
  Weights weights;
  std::vector<std::unique_ptr<tensor::Buffer>> buffers;
};

/// Told, during long work, how much of it is done.
using LoadProgress = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;

/// The operations of a gpt-oss model on one kind of hardware. Primitives are pure; each fused
/// operation has a body that composes primitives, so that a new backend is complete after the
/// primitives, and an override is an optimisation that must equal the composition. The residual
/// stream, router and expert outputs are of activation_dtype(); what feeds products (normed rows,
/// queries, keys, values, attention, hidden) is of operand_dtype(), the KV cache of kv_dtype().
/// Weights are BF16 or MXFP4, resident (see load()). Index arrays are I32 views in the backend's
/// memory.
///
/// One thread calls a backend at a time. Operations on host memory are complete when they return; a
/// device's are in order, and complete when read() has brought their result. Nothing is allocated
/// after reserve(). A device that fails throws std::runtime_error.
class Backend {
 public:
  virtual ~Backend() = default;

  /// "reference", "cpu".
  virtual std::string_view name() const = 0;
  /// What it runs on, for people: "AVX-512, 8 threads".
  virtual std::string description() const = 0;
  virtual DType activation_dtype() const = 0;
  virtual DType operand_dtype() const { return activation_dtype(); }
  virtual DType kv_dtype() const { return operand_dtype(); }

  /// Memory that the operations can use, zeroed. kOutOfMemory says how much was asked for.
  virtual Result<std::unique_ptr<tensor::Buffer>> allocate(std::size_t size_bytes) = 0;

  /// Bytes that allocate() could still give, where that is less than what the host has.
  virtual std::optional<std::uint64_t> free_memory_bytes() const { return std::nullopt; }

  /// Brings a checkpoint's weights to where the operations can read them. `host` must outlive the
  /// result. kOutOfMemory says what would fit.
  virtual Result<ResidentWeights> load(const Weights& host, const LoadProgress& progress);

  /// The bytes of `from`, on the host: the view itself, or a copy that is valid until the next
  /// call.
  virtual View read(View from) { return from; }

  /// The bytes of `from` to `to`, which has as many, in the memory that the operations use.
  virtual void copy(View from, MutableView to);

  /// Waits until every operation is complete.
  virtual void synchronize() {}

  /// Threads for what is done on the host between operations: those of a host's backend, else the
  /// caller's alone.
  virtual ThreadPool& host_threads() { return caller_; }

  /// Tokens of a step beyond which prompts are read hardly faster.
  virtual int preferred_step_tokens() const { return 512; }

  /// The rate, in bytes a second, at which memory that no cache holds can be read, measured now.
  /// kUnsupported where it bounds nothing.
  virtual Result<double> measure_read_bandwidth();

  /// Sizes the scratch for steps within the limits. Call once, before the first operation.
  virtual Status reserve(const StepLimits& limits) = 0;

  /// Brings a step's index arrays to the backend's memory. Valid until the next call.
  virtual Step begin_step(const StepInputs& inputs);

  /// Runs the operations that `ops` calls, all of a step's. A device may record them for steps of
  /// one shape, and replay the recording instead of calling `ops` again.
  virtual void run(const Step& step, const std::function<void()>& ops);

  // --- primitives ---

  /// x[t] = embedding[tokens[t]]. Tokens must be below the number of rows.
  virtual void embed(View tokens, View embedding, MutableView x) = 0;

  /// y[t] = x[t] / sqrt(mean(x[t]^2) + eps) * scale.
  virtual void rms_norm(View x, View scale, double eps, MutableView y) = 0;

  /// y[t] = W x[t] + b.
  virtual void linear(View x, const Linear& layer, MutableView y) = 0;

  /// x += y.
  virtual void add(View y, MutableView x) = 0;

  /// table[t] = concentration * (cos(p f_0), ..., cos(p f_{h-1}), sin(p f_0), ...), p =
  /// positions[t].
  virtual void rope_table(View positions, const Rope& rope, MutableView table) = 0;

  /// Rotates pairs (i, i + head_dim / 2) of every head in place. x is [num_tokens, heads,
  /// head_dim].
  virtual void rotate(View table, MutableView x) = 0;

  /// Writes keys and values of new tokens, [num_tokens, num_key_value_heads, head_dim], into their
  /// slots.
  virtual void store_kv(View k, View v, View slot_mapping, const KvLayer& kv) = 0;

  /// Causal attention over the paged cache, in the window, with a sink in each head's softmax
  /// denominator.
  virtual void attention(const AttentionArgs& args) = 0;

  /// The experts of each token, best first (ties: lowest index), and the softmax over their logits.
  virtual void route(View router_logits, MutableView expert_ids, MutableView expert_weights) = 0;

  /// y[i] = W_e x[row] + b_e with e = expert_ids[i]. x has a row for each i, or one for each group
  /// of expert_ids / x rows consecutive i (a token's experts share its row).
  virtual void expert_linear(View x, View expert_ids, const ExpertLinear& layer, MutableView y) = 0;

  /// y[k] = u sigmoid(1.702 u) (v + 1), u = min(x[2k], limit), v = clamp(x[2k + 1], -limit, limit).
  virtual void swiglu(View x, double limit, MutableView y) = 0;

  /// x[t] += sum_j weights[t, j] * y[t * experts_per_token + j].
  virtual void combine_experts(View y, View weights, MutableView x) = 0;

  /// out[i] = x[rows[i]].
  virtual void gather_rows(View x, View rows, MutableView out) = 0;

  /// logits = W x, as F32 whatever the activations are. x is [rows, hidden_size].
  virtual void unembed(View x, View unembedding, MutableView logits) = 0;

  // --- fused: defaults compose the primitives ---

  virtual void project_qkv(const QkvArgs& args);

  /// x += W y + b. scratch is as x in shape and dtype.
  virtual void linear_add(View y, const Linear& layer, MutableView scratch, MutableView x);

  virtual void moe(const MoeArgs& args);

  /// The whole step, when the backend has it as one operation for steps like this; else false, and
  /// nothing was done.
  virtual bool forward(const ForwardArgs& args);

  /// Whether sample() can choose a row's token.
  virtual bool can_sample(const SampleRow& row) const;

  /// Chooses a token for each row of logits, F32 [num_rows, vocab_size], where the logits are.
  /// Complete when it returns.
  virtual void sample(View logits, std::span<const SampleRow> rows, std::span<SampleResult> out);

 private:
  ThreadPool caller_{1};
};

}  // namespace gossamer::kernels
