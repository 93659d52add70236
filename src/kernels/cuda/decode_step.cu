// A decode step of one token as one persistent kernel: one block a multiprocessor, each streaming
// its share of all weights through a ring in shared memory (decode_ring.cuh) from the first layer
// to the unembedding, while 12 warps multiply (decode_products.cuh)
// and three bring them vectors (decode_carrier.cuh).
//
// A layer is five phases, each of which needs all of what the one before it made:
//   1. y = W_qkv RMSNorm(x) + b
//   2. attention, a part of one key-value head a block (decode_attention.cuh)
//   3. x += W_o a + b; on the way sums for the router, W_r (scale x), and of squares
//   4. hidden_e = SwiGLU(W_gate_up RMSNorm(x) + b) for the chosen experts e
//   5. x += sum_e weight_e (W_down hidden_e + b), two experts at a time
// Between 3 and 4 all blocks meet at a barrier; elsewhere words wait for each other
// (decode_words.cuh). The producer runs ahead of all that: weights depend on nothing but, for the
// experts, the routing, which the producer's warp computes for itself.
//
// A phase runs once a layer, so its instructions come from far unless the whole kernel stays in the
// instruction cache: loops that are not inner ones are not unrolled, and nothing is inlined twice
// that is long.
//
// Bound by bytes: the weights of a token once, 3.7 GB at 20b and 5.0 GB at 120b.

#include "kernels/cuda/decode_block.cuh"
#include "kernels/cuda/decode_carrier.cuh"
#include "kernels/cuda/decode_consumer.cuh"
#include "kernels/cuda/decode_consumer_attention.cuh"
#include "kernels/cuda/decode_producer.cuh"
#include "kernels/cuda/decode_step.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/ptx/registers.cuh"

namespace gossamer::kernels::cuda {
namespace {

__global__ void __launch_bounds__(kDecodeThreads, 1)
    decode_step(const __grid_constant__ DecodeStepArgs args) {
  extern __shared__ __align__(128) std::byte shared[];
  const Block block(args, shared);
  if (threadIdx.x == 0) {
    block.init_barriers();
    block.small.scratch = DecodeScratch(args.scratch, args.shape);
    block.small.full_table = args.block_tables + *args.full_start;
    block.small.sliding_table = args.block_tables + *args.sliding_start;
    block.small.qkv = DenseCut(block.qkv_rows(), args.shape.hidden);
    block.small.out = DenseCut(args.shape.hidden, args.shape.num_heads * kHeadDim);
    block.small.head = DenseCut(args.shape.vocab, args.shape.hidden);
  }
  const auto* layers = reinterpret_cast<const std::uint64_t*>(args.layers);
  const int num_words = args.shape.num_layers * static_cast<int>(sizeof(DecodeLayer) / 8);
  for (int i = threadIdx.x; i < num_words; i += kDecodeThreads) {
    reinterpret_cast<std::uint64_t*>(block.small.layers)[i] = layers[i];
  }
  __syncthreads();
  if (threadIdx.x >= kConsumers) {
    ptx::shrink_registers<kOtherRegisters>();
    if (threadIdx.x < kFirstCarrier) {
      produce(block);
    } else {
      carry(block);
    }
  } else {
    ptx::grow_registers<kConsumerRegisters>();
    Consumer(block).run();
  }
}

}  // namespace

std::size_t decode_scratch_bytes(const DecodeShape& shape) {
  return DecodeScratch(nullptr, shape).bytes;
}

bool can_decode_persistently(const DecodeShape& shape, int device) {
  int major = 0;
  int shared = 0;
  int num_blocks = 0;
  check(
      cudaDeviceGetAttribute(&num_blocks, cudaDevAttrMultiProcessorCount, device),
      "cudaDeviceGetAttribute"
  );
  check(
      cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
      "cudaDeviceGetAttribute"
  );
  check(
      cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
      "cudaDeviceGetAttribute"
  );
  return major >= 9 && shared_bytes(shape) <= static_cast<std::size_t>(shared) &&
         shape.num_layers <= kMaxDecodeLayers && shape.num_experts <= 128 &&
         shape.num_experts >= kDecodeExperts && shape.num_heads <= kMaxGroup * shape.num_kv_heads &&
         shape.hidden <= kMaxDenseColumns && shape.num_heads * kHeadDim <= kMaxDenseColumns &&
         shape.hidden <= kMaxOwnTiles * kPackedRows * num_blocks &&
         num_blocks >= shape.num_kv_heads && 2 * fp4_record_bytes(shape.hidden) <= kStageBytes &&
         2 * fp4_record_bytes(shape.intermediate) <= kStageBytes;
}

int prepare_decode_step(const DecodeShape& shape, int device) {
  int num_blocks = 0;
  check(
      cudaDeviceGetAttribute(&num_blocks, cudaDevAttrMultiProcessorCount, device),
      "cudaDeviceGetAttribute"
  );
  check(
      cudaFuncSetAttribute(
          decode_step,
          cudaFuncAttributeMaxDynamicSharedMemorySize,
          static_cast<int>(shared_bytes(shape))
      ),
      "cudaFuncSetAttribute"
  );
  return num_blocks;
}

void launch_decode_step(const DecodeStepArgs& args, int num_blocks, cudaStream_t stream) {
  const DecodeScratch scratch(args.scratch, args.shape);
  check(cudaMemsetAsync(args.scratch, 0, scratch.bytes, stream), "cudaMemsetAsync");
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = num_blocks;
  config.blockDim = kDecodeThreads;
  config.dynamicSmemBytes = shared_bytes(args.shape);
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = 1;
  check(cudaLaunchKernelEx(&config, decode_step, args), "decode_step");
}

}  // namespace gossamer::kernels::cuda
