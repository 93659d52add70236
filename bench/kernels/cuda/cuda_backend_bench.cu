// Steps of 24 layers of the released shapes on the CUDA backend, operation by operation:
//     cuda_backend_bench [EXPERTS]
// Prints microseconds a layer. A few random layers serve in turn, more than the device's cache
// holds.

#include <fmt/format.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/memory.cuh"
#include "tensor/buffer.h"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kHidden = 2880;
constexpr int kHeads = 64;
constexpr int kKvHeads = 8;
constexpr int kHeadDim = 64;
constexpr int kVocabulary = 201088;
constexpr int kSteps = 20;
constexpr int kLayers = 24;
constexpr std::size_t kDistinctLayers = 3;
constexpr int kContext = 1024;
constexpr int kMaxTokens = 8192;

template <class T>
T value_of(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

/// Random weights of magnitudes that keep activations finite.
class RandomWeights {
 public:
  Weights make(std::int64_t num_experts) {
    Weights weights;
    for (std::size_t i = 0; i < kDistinctLayers; ++i) {
      weights.layers.push_back(
          {.attn_norm = bf16({kHidden}),
           .q = linear(kHeads * kHeadDim, kHidden),
           .k = linear(kKvHeads * kHeadDim, kHidden),
           .v = linear(kKvHeads * kHeadDim, kHidden),
           .sinks = bf16({kHeads}),
           .attn_out = linear(kHidden, kHeads * kHeadDim),
           .mlp_norm = bf16({kHidden}),
           .router = linear(num_experts, kHidden),
           .gate_up = experts(num_experts, 2 * kHidden, kHidden),
           .down = experts(num_experts, kHidden, kHidden)}
      );
    }
    weights.unembedding = bf16({kVocabulary, kHidden});
    return weights;
  }

 private:
  std::uint64_t random() {
    state_ ^= state_ << 13U;
    state_ ^= state_ >> 7U;
    state_ ^= state_ << 17U;
    return state_;
  }
  View make(DType dtype, tensor::Shape shape, std::uint64_t keep, std::uint64_t set) {
    const auto size = static_cast<std::size_t>(shape.num_elements()) * tensor::size_of(dtype);
    buffers_.push_back(value_of(tensor::HostBuffer::allocate(size + 8)));
    auto* words = reinterpret_cast<std::uint64_t*>(buffers_.back()->data());
    for (std::size_t i = 0; i <= size / 8; ++i) words[i] = (random() & keep) | set;
    return buffers_.back()->view(0, dtype, shape);
  }
  // Signs and significands at random, magnitudes from 2^-7 to 2^-5.
  View bf16(tensor::Shape shape) {
    return make(DType::kBF16, shape, 0x80FF80FF80FF80FF, 0x3C003C003C003C00);
  }
  Linear linear(std::int64_t rows, std::int64_t columns) {
    return {bf16({rows, columns}), bf16({rows})};
  }
  ExpertLinear experts(std::int64_t num_experts, std::int64_t rows, std::int64_t columns) {
    return {
        {make(DType::kU8, {num_experts, rows, columns / 32, 16}, ~std::uint64_t{0}, 0),
         make(DType::kU8, {num_experts, rows, columns / 32}, 0, 0x7878787878787878)},
        bf16({num_experts, rows})};
  }

  std::uint64_t state_ = 88172645463325252;
  std::vector<std::unique_ptr<tensor::Buffer>> buffers_;
};

/// The activations of a step, and its cache.
struct Memory {
  MutableView x, normed, table, q, k, v, attention, router_logits, expert_weights, gate_up, hidden,
      down, expert_ids, logits;
  KvLayer kv;
  std::vector<std::unique_ptr<tensor::Buffer>> buffers;

  Memory(
      Backend& backend,
      std::int64_t tokens,
      std::int64_t rows,
      std::int64_t blocks,
      std::int64_t num_experts
  ) {
    const auto make = [&](DType dtype, tensor::Shape shape) {
      const auto size = static_cast<std::size_t>(shape.num_elements()) * tensor::size_of(dtype);
      buffers.push_back(value_of(backend.allocate(size)));
      return buffers.back()->view(0, dtype, shape);
    };
    x = make(DType::kF32, {tokens, kHidden});
    normed = make(DType::kBF16, {tokens, kHidden});
    table = make(DType::kF32, {tokens, kHeadDim});
    q = make(DType::kBF16, {tokens, kHeads, kHeadDim});
    k = make(DType::kBF16, {tokens, kKvHeads, kHeadDim});
    v = make(DType::kBF16, {tokens, kKvHeads, kHeadDim});
    attention = make(DType::kBF16, {tokens, kHeads, kHeadDim});
    router_logits = make(DType::kF32, {tokens, num_experts});
    expert_weights = make(DType::kF32, {tokens, 4});
    gate_up = make(DType::kF32, {0, 2 * kHidden});
    hidden = make(DType::kBF16, {4 * tokens, kHidden});
    down = make(DType::kF32, {4 * tokens, kHidden});
    expert_ids = make(DType::kI32, {4 * tokens});
    logits = make(DType::kF32, {rows, kVocabulary});
    kv = {
        make(DType::kBF16, {blocks, kKvHeads, kBlockSize, kHeadDim}),
        make(DType::kBF16, {blocks, kKvHeads, kBlockSize, kHeadDim})};
  }
};

/// Sequences of equally many new tokens, at the end of equal contexts.
struct Inputs {
  std::vector<TokenId> tokens;
  std::vector<std::int32_t> positions, logit_rows, context_lens, slots, table;
  std::vector<std::int32_t> cu_seqlens_q{0}, starts{0};

  Inputs(int sequences, int query, int context) {
    const int blocks = (context + kBlockSize - 1) / kBlockSize;
    for (int s = 0; s < sequences; ++s) {
      for (int i = context - query; i < context; ++i) {
        tokens.push_back(0);
        positions.push_back(i);
        slots.push_back(s * blocks * kBlockSize + i);
      }
      cu_seqlens_q.push_back(cu_seqlens_q.back() + query);
      context_lens.push_back(context);
      logit_rows.push_back(cu_seqlens_q.back() - 1);
      for (int block = 0; block < blocks; ++block) table.push_back(s * blocks + block);
      starts.push_back(starts.back() + blocks);
    }
  }

  StepInputs inputs() const {
    const GroupInputs group{slots, table, starts};
    return {tokens, positions, logit_rows, cu_seqlens_q, context_lens, group, group};
  }
};

class Bench {
 public:
  Bench(Backend& backend, const Weights& weights) : backend_(backend), weights_(weights) {}

  void measure(int sequences, int query, int context) {
    const Inputs inputs(sequences, query, context);
    const std::int64_t num_experts = weights_.layers[0].router.weight.shape()[0];
    Memory m(
        backend_,
        static_cast<std::int64_t>(sequences) * query,
        sequences,
        inputs.starts.back(),
        num_experts
    );
    fill(m.x);
    const auto layers = [&](const std::function<void(const LayerWeights&, const Step&, int)>& op) {
      return time(
                 inputs,
                 [&](const Step& step) {
                   for (int i = 0; i < kLayers; ++i)
                     op(weights_.layers[static_cast<std::size_t>(i) % kDistinctLayers], step, i);
                 }
             ) /
             kLayers;
    };
    const auto qkv = [&](const LayerWeights& w, const Step& step, int) { project_qkv(m, w, step); };
    const auto attend = [&](const LayerWeights& w, const Step& step, int i) {
      attention(m, w, step, i % 2 == 0 ? 128 : 0);
    };
    const auto out = [&](const LayerWeights& w, const Step&, int) {
      backend_.linear_add(
          View(m.attention.data(), DType::kBF16, {m.x.shape()[0], kHeads * kHeadDim}),
          w.attn_out,
          m.down,
          m.x
      );
    };
    const auto experts = [&](const LayerWeights& w, const Step&, int) { moe(m, w); };
    fmt::print(
        "{:>4} x {:>4} tokens of {:>5}: qkv {:8.1f}, attention {:8.1f}, out {:8.1f}, moe {:8.1f}, "
        "all {:8.1f}; "
        "unembed {:7.1f} us\n",
        sequences,
        query,
        context,
        layers(qkv),
        layers(attend),
        layers(out),
        layers(experts),
        layers([&](const LayerWeights& w, const Step& step, int i) {
          qkv(w, step, i);
          attend(w, step, i);
          out(w, step, i);
          experts(w, step, i);
        }),
        time(
            inputs,
            [&](const Step&) {
              backend_.unembed(View(m.normed).rows(0, sequences), weights_.unembedding, m.logits);
            }
        )
    );
  }

 private:
  /// Activations of about 1, each token's its own.
  static void fill(MutableView x) {
    std::vector<float> values(static_cast<std::size_t>(x.shape().num_elements()));
    std::uint32_t state = 1;
    for (float& value : values) {
      state = state * 1664525U + 1013904223U;
      value = static_cast<float>(state >> 8U) / static_cast<float>(1U << 23U) - 1.0F;
    }
    check(
        cudaMemcpy(x.data(), values.data(), x.size_bytes(), cudaMemcpyHostToDevice), "cudaMemcpy"
    );
  }

  /// Microseconds of a step, once it is recorded where the backend records it.
  double time(const Inputs& inputs, const std::function<void(const Step&)>& ops) {
    auto flag = value_of(backend_.allocate(4));  // recordings of other operations are forgotten
    const View done = flag->view(0, DType::kI32, {1});
    const auto run = [&](int steps) {
      for (int i = 0; i < steps; ++i) {
        const Step step = backend_.begin_step(inputs.inputs());
        backend_.run(step, [&] { ops(step); });
      }
      backend_.read(done);
    };
    run(3);
    const Stopwatch stopwatch;
    run(kSteps);
    return stopwatch.seconds() * 1e6 / kSteps;
  }

  void project_qkv(const Memory& m, const LayerWeights& w, const Step& step) {
    backend_.project_qkv(
        {.x = m.x,
         .norm = w.attn_norm,
         .rms_norm_eps = 1e-5,
         .q_proj = w.q,
         .k_proj = w.k,
         .v_proj = w.v,
         .rope_table = m.table,
         .kv = m.kv,
         .slot_mapping = step.full.slot_mapping,
         .normed = m.normed,
         .q = m.q,
         .k = m.k,
         .v = m.v}
    );
  }

  void attention(const Memory& m, const LayerWeights& w, const Step& step, int window) {
    backend_.attention(
        {.q = m.q,
         .sinks = w.sinks,
         .kv = m.kv,
         .batch = &step.full,
         .sliding_window = window,
         .out = m.attention}
    );
  }

  void moe(const Memory& m, const LayerWeights& w) {
    backend_.moe(
        {.x = m.x,
         .norm = w.mlp_norm,
         .rms_norm_eps = 1e-5,
         .router = w.router,
         .gate_up = w.gate_up,
         .down = w.down,
         .swiglu_limit = 7,
         .normed = m.normed,
         .router_logits = m.router_logits,
         .expert_ids = m.expert_ids,
         .expert_weights = m.expert_weights,
         .gate_up_out = m.gate_up,
         .hidden = m.hidden,
         .down_out = m.down}
    );
  }

  Backend& backend_;
  const Weights& weights_;
};

void run(std::int64_t num_experts) {
  const auto backend = value_of(create_cuda_backend({}));
  fmt::print("{}\n", backend->description());
  const auto status = backend->reserve(
      {.max_tokens = kMaxTokens,
       .max_sequences = 256,
       .max_logit_rows = 256,
       .max_context = kMaxTokens,
       .vocab_size = kVocabulary,
       .num_hidden_layers = kLayers,
       .hidden_size = kHidden,
       .intermediate_size = kHidden,
       .num_attention_heads = kHeads,
       .num_key_value_heads = kKvHeads,
       .head_dim = kHeadDim,
       .num_experts = static_cast<int>(num_experts),
       .experts_per_token = 4}
  );
  if (!status.ok()) throw std::runtime_error(status.error().message);
  ResidentWeights resident;
  {
    RandomWeights host;
    resident = value_of(backend->load(host.make(num_experts), {}));
  }
  Bench bench(*backend, resident.weights);
  for (const int sequences : {1, 2, 4, 8, 16, 32, 64, 128, 256})
    bench.measure(sequences, 1, kContext);
  for (const int tokens : {128, 512, 2048, 8192}) bench.measure(1, tokens, tokens);
}

}  // namespace
}  // namespace gossamer::kernels::cuda

int main(int argc, char** argv) {
  gossamer::kernels::cuda::run(argc > 1 ? std::atoi(argv[1]) : 32);
}
