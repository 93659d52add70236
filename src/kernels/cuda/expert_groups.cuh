#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace gossamer::kernels::cuda {

/// Some of an expert's pairs, which a product takes together: pairs[begin], ..., pairs[begin +
/// count - 1].
struct ExpertTile {
  std::int32_t expert;
  std::int32_t begin;
  std::int32_t count;
};

/// The pairs (token, choice) of a step in the order of their experts, and cut into tiles. All of it
/// lies on the device: the host never learns the counts.
struct ExpertGroups {
  std::int32_t* pairs;      // [num_pairs], by expert, then by index
  std::int32_t* offsets;    // [num_experts + 1]: an expert's pairs are [offsets[e], offsets[e + 1])
  std::int32_t* num_tiles;  // [1]
  ExpertTile* tiles;        // [num_tiles], by expert
};

/// Bytes that the groups of at most so many pairs take.
std::size_t expert_groups_bytes(std::int64_t max_pairs, int num_experts);

/// The groups of at most so many pairs in expert_groups_bytes() at `memory`, 16-byte aligned.
ExpertGroups expert_groups_at(std::byte* memory, std::int64_t max_pairs, int num_experts);

struct GroupByExpertArgs {
  const std::int32_t* expert_ids;  // [num_pairs], each in [0, num_experts)
  ExpertGroups groups;             // written
  int num_pairs;
  int num_experts;  // at most 128
};

/// Stable and deterministic.
void launch_group_by_expert(const GroupByExpertArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
