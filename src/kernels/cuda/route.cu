// The best experts of each token, and the softmax over their logits. A warp has a token: it holds
// the logits as keys that order by value, then by lowest index, and takes the largest as often as
// asked. Bound by latency: a few thousand cycles whatever the number of tokens.

#include "base/check.h"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/route.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kWarpSize = 32;
constexpr int kWarps = 4;
constexpr int kKeys = kMaxRoutedExperts / kWarpSize;  // of a lane
constexpr unsigned kAllLanes = 0xFFFFFFFFU;

using Key = unsigned long long;
constexpr Key kTaken = 0;  // below every expert's key

/// Larger for larger logits, and of equal ones for the lower expert. Not a number is the least.
__device__ Key key_of(float logit, int expert) {
  const float value = isnan(logit) ? -INFINITY : logit + 0.0F;  // one zero only
  const std::uint32_t bits = __float_as_uint(value);
  const std::uint32_t ordered = (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
  return Key{ordered} << 32U | (0xFFFFFFFFU - static_cast<std::uint32_t>(expert));
}

__device__ int expert_of(Key key) {
  return static_cast<int>(0xFFFFFFFFU - static_cast<std::uint32_t>(key));
}

__device__ Key warp_max(Key key) {
  for (int distance = kWarpSize / 2; distance > 0; distance /= 2) {
    const Key other = __shfl_xor_sync(kAllLanes, key, distance);
    key = other > key ? other : key;
  }
  return key;
}

__device__ float warp_sum(float value) {
  for (int distance = kWarpSize / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}

__global__ void __launch_bounds__(kWarps* kWarpSize) route_kernel(RouteArgs args) {
  const int token = static_cast<int>(blockIdx.x * kWarps + threadIdx.x / kWarpSize);
  if (token >= args.num_tokens) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const float* logits = args.logits + std::int64_t{token} * args.num_experts;
  Key keys[kKeys];
#pragma unroll
  for (int k = 0; k < kKeys; ++k) {
    const int expert = k * kWarpSize + lane;
    keys[k] = expert < args.num_experts ? key_of(logits[expert], expert) : kTaken;
  }
  int mine = 0;  // lane j's is the j-th best
  for (int j = 0; j < args.experts_per_token; ++j) {
    Key best = kTaken;
#pragma unroll
    for (int k = 0; k < kKeys; ++k) best = keys[k] > best ? keys[k] : best;
    best = warp_max(best);
#pragma unroll
    for (int k = 0; k < kKeys; ++k) keys[k] = keys[k] == best ? kTaken : keys[k];
    if (lane == j) mine = expert_of(best);
  }
  const bool chosen = lane < args.experts_per_token;
  const float logit = chosen ? logits[mine] : 0.0F;
  const float largest = __shfl_sync(kAllLanes, logit, 0);
  const float weight = chosen ? expf(logit - largest) : 0.0F;
  const float sum = warp_sum(weight);
  if (!chosen) return;
  const std::int64_t out = std::int64_t{token} * args.experts_per_token + lane;
  args.expert_ids[out] = mine;
  args.expert_weights[out] = weight / sum;
}

}  // namespace

void launch_route(const RouteArgs& args, cudaStream_t stream) {
  if (args.num_tokens == 0) return;
  GOSSAMER_CHECK(args.num_experts <= kMaxRoutedExperts);
  GOSSAMER_CHECK(args.experts_per_token <= args.num_experts && args.experts_per_token <= kWarpSize);
  const auto num_blocks = static_cast<unsigned>((args.num_tokens + kWarps - 1) / kWarps);
  route_kernel<<<num_blocks, kWarps * kWarpSize, 0, stream>>>(args);
  check(cudaGetLastError(), "route_kernel");
}

}  // namespace gossamer::kernels::cuda
