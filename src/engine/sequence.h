#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/block_tables.h"
#include "engine/request.h"
#include "engine/sampler.h"

namespace gossamer::engine {

/// A request on its way: its tokens, how many of them the cache holds, and the blocks they are in.
struct Sequence {
  SequenceId id = 0;
  std::string user;
  std::vector<TokenId> tokens;  // prompt, then what was sampled
  int num_prompt_tokens = 0;
  int num_computed = 0;  // tokens whose keys and values are in the cache
  int max_length = 0;    // prompt and output together
  std::vector<TokenId> stop_tokens;
  std::shared_ptr<TokenMask> mask;
  std::unique_ptr<Sampler> sampler;
  std::unique_ptr<BlockTables> blocks;  // null while waiting

  /// Order of first admission, from 1: who is preempted last. 0 before it.
  std::uint64_t age = 0;
  int num_cached_tokens = 0;            // of the prompt, when it was first admitted
  int num_published = 0;                // full blocks that the prefix cache knows
  std::vector<int> snapshot_positions;  // multiples of the block size, ascending

  int length() const { return static_cast<int>(tokens.size()); }
  int num_pending() const { return length() - num_computed; }
};

}  // namespace gossamer::engine
