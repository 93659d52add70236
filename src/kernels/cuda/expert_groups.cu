// A stable counting sort of pairs by expert, and the tiles of the result.
//
// One block: each warp has consecutive pairs, 32 at a time, and finds by match which of them have
// the same expert, so that no order depends on timing. First the warps count, then an expert's
// thread turns the counts into places, then the warps place. Bound by latency.

#include <algorithm>

#include "kernels/cuda/expert_groups.cuh"
#include "kernels/cuda/expert_kernels.cuh"
#include "kernels/cuda/expert_plan.h"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/packed_weights.h"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kMaxExperts = 128;
constexpr int kMaxWarps = 32;
constexpr int kTokenStep = 8;  // tiles are whole mma columns
constexpr unsigned kAllLanes = 0xFFFFFFFF;

/// The pairs of a warp, and where it counts them.
struct WarpShare {
  int begin;
  int end;
  int* counts;  // [kMaxExperts]

  /// Calls visit(pair, expert, rank among this warp's pairs of the expert, in order).
  template <class Visit>
  __device__ void for_each(const std::int32_t* expert_ids, const Visit& visit) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    for (int first = begin; first < end; first += 32) {
      const int pair = first + lane;
      const int expert = pair < end ? expert_ids[pair] : -1;
      const unsigned same = __match_any_sync(kAllLanes, expert);
      const int rank = __popc(same & ((1U << lane) - 1));
      if (expert >= 0) visit(pair, expert, counts[expert] + rank);
      __syncwarp();
      if (expert >= 0 && rank == 0) counts[expert] += __popc(same);
      __syncwarp();
    }
  }
};

/// The sum of the values of all threads before this one; threads behind kMaxExperts give 0.
__device__ int exclusive_sum(int value, int (&warp_sums)[kMaxExperts / 32]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  int sum = value;
  for (int distance = 1; distance < 32; distance *= 2) {
    const int before = __shfl_up_sync(kAllLanes, sum, distance);
    if (lane >= distance) sum += before;
  }
  __syncthreads();
  if (lane == 31 && warp < kMaxExperts / 32) warp_sums[warp] = sum;
  __syncthreads();
  for (int w = 0; w < min(warp, kMaxExperts / 32); ++w) sum += warp_sums[w];
  return sum - value;
}

/// Cuts an expert's pairs into as few tiles as possible, of about the same size.
__device__ void write_tiles(ExpertTile* tiles, int expert, int begin, int count, int num_tiles) {
  if (num_tiles == 0) return;
  const int size = static_cast<int>(round_up((count + num_tiles - 1) / num_tiles, kTokenStep));
  for (int i = 0; i < num_tiles; ++i) {
    tiles[i] = {expert, begin + i * size, min(size, count - i * size)};
  }
}

__global__ void __launch_bounds__(kMaxWarps * 32)
    group_by_expert_kernel(GroupByExpertArgs args, int tile_pairs) {
  __shared__ int counts[kMaxWarps][kMaxExperts];
  __shared__ int warp_sums[kMaxExperts / 32];
  const int thread = static_cast<int>(threadIdx.x);
  const int num_warps = static_cast<int>(blockDim.x) / 32;
  for (int i = thread; i < num_warps * kMaxExperts; i += static_cast<int>(blockDim.x)) {
    counts[i / kMaxExperts][i % kMaxExperts] = 0;
  }
  __syncthreads();
  const int share = static_cast<int>(round_up((args.num_pairs + num_warps - 1) / num_warps, 32));
  const int begin = thread / 32 * share;
  const WarpShare warp{begin, min(begin + share, args.num_pairs), counts[thread / 32]};
  warp.for_each(args.expert_ids, [](int, int, int) {});
  __syncthreads();

  int total = 0;
  if (thread < args.num_experts) {
    for (int w = 0; w < num_warps; ++w) total += counts[w][thread];
  }
  const int num_tiles = (total + tile_pairs - 1) / tile_pairs;
  const int first_pair = exclusive_sum(total, warp_sums);
  const int first_tile = exclusive_sum(num_tiles, warp_sums);
  if (thread < args.num_experts) {
    int place = first_pair;
    for (int w = 0; w < num_warps; ++w) {
      const int count = counts[w][thread];
      counts[w][thread] = place;
      place += count;
    }
    args.groups.offsets[thread] = first_pair;
    write_tiles(args.groups.tiles + first_tile, thread, first_pair, total, num_tiles);
    if (thread == args.num_experts - 1) {
      args.groups.offsets[args.num_experts] = first_pair + total;
      *args.groups.num_tiles = first_tile + num_tiles;
    }
  }
  __syncthreads();
  warp.for_each(args.expert_ids, [&](int pair, int, int place) {
    args.groups.pairs[place] = pair;
  });
}

std::size_t array_bytes(std::int64_t size, std::size_t element_bytes) {
  return static_cast<std::size_t>(round_up(size * static_cast<std::int64_t>(element_bytes), 16));
}

// Most tiles come from the smallest tile.
std::int64_t most_tiles(std::int64_t max_pairs, int num_experts) {
  return num_experts + max_pairs / kTokenStep;
}

}  // namespace

std::size_t expert_groups_bytes(std::int64_t max_pairs, int num_experts) {
  return array_bytes(max_pairs, sizeof(std::int32_t)) +
         array_bytes(num_experts + 1, sizeof(std::int32_t)) + array_bytes(1, sizeof(std::int32_t)) +
         array_bytes(most_tiles(max_pairs, num_experts), sizeof(ExpertTile));
}

ExpertGroups expert_groups_at(std::byte* memory, std::int64_t max_pairs, int num_experts) {
  const auto take = [&memory](std::size_t size_bytes) {
    std::byte* const begin = memory;
    memory += size_bytes;
    return begin;
  };
  const auto indices = [&take](std::int64_t size) {
    return reinterpret_cast<std::int32_t*>(take(array_bytes(size, sizeof(std::int32_t))));
  };
  ExpertGroups groups{};
  groups.pairs = indices(max_pairs);
  groups.offsets = indices(num_experts + 1);
  groups.num_tiles = indices(1);
  groups.tiles = reinterpret_cast<ExpertTile*>(memory);
  return groups;
}

void launch_group_by_expert(const GroupByExpertArgs& args, int tile_pairs, cudaStream_t stream) {
  if (args.num_pairs == 0) return;
  const int num_warps = std::clamp((args.num_pairs + 31) / 32, kMaxExperts / 32, kMaxWarps);
  group_by_expert_kernel<<<1, num_warps * 32, 0, stream>>>(args, tile_pairs);
  check(cudaGetLastError(), "group_by_expert_kernel");
}

void launch_group_by_expert(const GroupByExpertArgs& args, cudaStream_t stream) {
  launch_group_by_expert(args, expert_tile_pairs(args.num_pairs, args.num_experts), stream);
}

}  // namespace gossamer::kernels::cuda
