#include <cstring>
#include <utility>

#include "kernels/cuda/device_views.cuh"
#include "kernels/cuda/persistent_decode.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kRopeHeadDim = 64;

DecodeShape shape_of(const StepLimits& limits) {
  return {
      .num_layers = limits.num_hidden_layers,
      .hidden = limits.hidden_size,
      .intermediate = limits.intermediate_size,
      .num_heads = limits.num_attention_heads,
      .num_kv_heads = limits.num_key_value_heads,
      .num_experts = limits.num_experts,
      .vocab = limits.vocab_size,
  };
}

const std::byte* expert_records(const ExpertLinear& layer) {
  return layer.weight.blocks.data();
}

DecodeLayer layer_of(const LayerWeights& weights, const KvLayer& kv, std::int32_t window) {
  return {
      .qkv = weights.q.weight.data(),
      .attn_out = weights.attn_out.weight.data(),
      .router = weights.router.weight.data(),
      .gate_up = expert_records(weights.gate_up),
      .down = expert_records(weights.down),
      .attn_norm = bf16(weights.attn_norm),
      .qkv_bias = bf16(weights.q.bias),
      .sinks = bf16(weights.sinks),
      .attn_out_bias = bf16(weights.attn_out.bias),
      .mlp_norm = bf16(weights.mlp_norm),
      .router_bias = bf16(weights.router.bias),
      .gate_up_bias = bf16(weights.gate_up.bias),
      .down_bias = bf16(weights.down.bias),
      .keys = bf16(kv.keys),
      .values = bf16(kv.values),
      .sliding_window = window,
  };
}

}  // namespace

Result<std::optional<PersistentDecode>> PersistentDecode::create(
    const StepLimits& limits, int device
) {
  PersistentDecode decode;
  decode.shape_ = shape_of(limits);
  if (limits.num_hidden_layers < 1 || limits.vocab_size < 1 || limits.head_dim != kRopeHeadDim ||
      limits.experts_per_token != kDecodeExperts ||
      !can_decode_persistently(decode.shape_, device)) {
    return std::optional<PersistentDecode>();
  }
  decode.num_blocks_ = prepare_decode_step(decode.shape_, device);
  GOSSAMER_ASSIGN_OR_RETURN(
      decode.scratch_, DeviceBuffer::allocate(decode_scratch_bytes(decode.shape_))
  );
  GOSSAMER_ASSIGN_OR_RETURN(
      decode.layers_, DeviceBuffer::allocate(kMaxDecodeLayers * sizeof(DecodeLayer))
  );
  GOSSAMER_ASSIGN_OR_RETURN(
      decode.frequencies_, DeviceBuffer::allocate(kRopeHeadDim / 2 * sizeof(double))
  );
  return std::optional<PersistentDecode>(std::move(decode));
}

bool PersistentDecode::fits(const Step& step) {
  return step.num_tokens() == 1 && step.num_logit_rows() == 1;
}

void PersistentDecode::use(const ForwardArgs& args, cudaStream_t stream) {
  std::vector<DecodeLayer> layers;
  layers.reserve(args.kv.size());
  for (std::size_t i = 0; i < args.kv.size(); ++i) {
    layers.push_back(layer_of(args.weights->layers[i], args.kv[i], args.sliding_windows[i]));
  }
  const std::size_t bytes = layers.size() * sizeof(DecodeLayer);
  const bool same = layers.size() == host_layers_.size() &&
                    std::memcmp(layers.data(), host_layers_.data(), bytes) == 0;
  if (same) return;
  // Rare: a model's first step, or another cache. Waits, since the sources are pageable.
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  check(cudaMemcpy(layers_->data(), layers.data(), bytes, cudaMemcpyHostToDevice), "cudaMemcpy");
  check(
      cudaMemcpy(
          frequencies_->data(),
          args.rope.inverse_frequencies.data(),
          args.rope.inverse_frequencies.size_bytes(),
          cudaMemcpyHostToDevice
      ),
      "cudaMemcpy"
  );
  host_layers_ = std::move(layers);
}

void PersistentDecode::run(const ForwardArgs& args, cudaStream_t stream) {
  use(args, stream);
  shape_.rms_norm_eps = static_cast<float>(args.rms_norm_eps);
  shape_.swiglu_limit = static_cast<float>(args.swiglu_limit);
  shape_.rope_concentration = static_cast<float>(args.rope.concentration);
  const Step& step = *args.step;
  launch_decode_step(
      {.shape = shape_,
       .layers = reinterpret_cast<const DecodeLayer*>(layers_->data()),
       .embedding = bf16(args.weights->embedding),
       .norm = bf16(args.weights->norm),
       .unembedding = args.weights->unembedding.data(),
       .inverse_frequencies = reinterpret_cast<const double*>(frequencies_->data()),
       .token = step.tokens.as<std::int32_t>(),
       .position = step.positions.as<std::int32_t>(),
       .block_tables = step.full.block_table.as<std::int32_t>(),
       .full_start = step.full.block_table_starts.as<std::int32_t>(),
       .sliding_start = step.sliding.block_table_starts.as<std::int32_t>(),
       .scratch = scratch_->data(),
       .logits = args.logits.as<float>()},
      num_blocks_,
      stream
  );
}

}  // namespace gossamer::kernels::cuda
