#pragma once

// The exact edge of a selection: the rank from which on tokens are selected. Among the listed
// tokens if they are all there, else in the row as it is.

#include <cuda_runtime.h>

#include "kernels/cuda/sample_selection.cuh"

namespace gossamer::kernels::cuda {

/// The listed tokens of a selection.
struct ListedTokens {
  const SelectionView& selection;
  int count;

  /// Calls visit(rank) for each; a token is visited by one thread.
  template <class Visit>
  __device__ void for_each(const Visit& visit) const {
    for (int i = thread_index(); i < count; i += kSampleThreads) {
      visit(__ldcg(selection.listed_tokens() + i));
    }
  }
};

/// All tokens of a selection's row that are in a bin.
struct RowTokens {
  const SelectionView& selection;
  const Measure& measure;

  template <class Visit>
  __device__ void for_each(const Visit& visit) const {
    for (int chunk = 0; chunk < selection.num_chunks(); ++chunk) {
      float logits[kSampleItems];
      selection.load(chunk, logits);
#pragma unroll
      for (int k = 0; k < kSampleItems; ++k) {
        const int token = first_token(chunk) + k;
        if (measure.bin(logits[k], token) < kSampleBins) visit(rank_of(logits[k], token));
      }
    }
  }
};

/// Finds edges in rounds: each spreads a range of ranks over the bins, and leaves the range of the
/// bin that the edge is in.
template <class Tokens>
class EdgeSearch {
 public:
  __device__ EdgeSearch(const Tokens& tokens, SharedBins& bins) : tokens_(tokens), bins_(bins) {
    Rank least = ~Rank{0};
    Rank greatest = kNoToken;
    tokens_.for_each([&](Rank rank) {
      least = Smaller{}(least, rank);
      greatest = Larger{}(greatest, rank);
    });
    least_ = block_reduce(least, Smaller{});
    greatest_ = block_reduce(greatest, Larger{});
  }

  /// The greatest edge such that `mass_of(rank)` of the tokens from it on reaches `target`, at
  /// least 1; the least token's where it never does. Tokens below `least` are left out.
  template <class MassOf>
  __device__ Rank find(const MassOf& mass_of, Weight target, Rank least) {
    Rank low = Larger{}(least, least_);
    Rank high = greatest_;
    while (low < high) {
      int shift = 0;
      while ((high - low) >> shift >= kSampleBins) ++shift;
      fill(mass_of, low, high, shift);
      Weight before = 0;
      const int bin = bin_reaching(target, before);
      if (bin == kSampleBins) return low;
      const Rank width = (Rank{1} << shift) - 1;
      high -= static_cast<Rank>(bin) << shift;
      low = high - low > width ? high - width : low;
      target -= before;
      if (bins_.mass(bin) == target) return low;  // the whole bin
      __syncthreads();
    }
    return low;
  }

  /// The mass of the tokens from `edge` on.
  template <class MassOf>
  __device__ Weight mass_from(const MassOf& mass_of, Rank edge) {
    Weight sum = 0;
    tokens_.for_each([&](Rank rank) {
      if (rank >= edge) sum += mass_of(rank);
    });
    return block_reduce(sum, Plus{});
  }

 private:
  template <class MassOf>
  __device__ void fill(const MassOf& mass_of, Rank low, Rank high, int shift) {
    bins_.clear();
    __syncthreads();
    tokens_.for_each([&](Rank rank) {
      if (rank < low || rank > high) return;
      bins_.add(static_cast<int>((high - rank) >> shift), mass_of(rank));
    });
    __syncthreads();
  }

  /// The first bin through which masses reach `target`, and what comes before it; kSampleBins where
  /// they never do.
  __device__ int bin_reaching(Weight target, Weight& before) {
    const int first = thread_index() * kSampleItems;
    Weight masses[kSampleItems];
    Weight sum = 0;
#pragma unroll
    for (int k = 0; k < kSampleItems; ++k) {
      masses[k] = bins_.mass(first + k);
      sum += masses[k];
    }
    Weight reached = block_scan(sum).before;
    int hit = kSampleBins;
    Weight before_hit = 0;
#pragma unroll
    for (int k = 0; k < kSampleItems; ++k) {
      if (hit == kSampleBins && reached + masses[k] >= target) {
        hit = first + k;
        before_hit = reached;
      }
      reached += masses[k];
    }
    const int bin = block_reduce(hit, Smaller{});
    before = block_reduce(hit == bin ? before_hit : Weight{0}, Larger{});
    return bin;
  }

  const Tokens& tokens_;
  SharedBins& bins_;
  Rank least_;
  Rank greatest_;
};

/// The tokens that are surely selected, because their bins are before the edge's.
struct TokensAbove {
  std::uint32_t count;
  Weight weight;
};

/// The rank from which on tokens are selected by top_k and top_p, or by num_top. `tokens` are the
/// row's, but for those above. All threads must call.
template <class Tokens>
__device__ Rank find_edge(
    const SelectionView& selection,
    const Measure& measure,
    const Tokens& tokens,
    const TokensAbove& above,
    SharedBins& bins
) {
  const SelectionCut& cut = selection.cut();
  const auto one = [](Rank) { return Weight{1}; };
  const auto weight = [&](Rank rank) { return measure.weight(logit_of(rank)); };
  EdgeSearch<Tokens> search(tokens, bins);
  Rank edge = kNoToken;
  Weight total = cut.total_weight;
  if (cut.counts_tokens != 0) {
    edge = search.find(one, selection.limit() - above.count, kNoToken);
    if (selection.top_p() < 1.0) total = above.weight + search.mass_from(weight, edge);
  }
  if (selection.top_p() >= 1.0) return edge;
  const auto target = static_cast<Weight>(ceil(selection.top_p() * static_cast<double>(total)));
  return search.find(weight, target > above.weight ? target - above.weight : 1, edge);
}

}  // namespace gossamer::kernels::cuda
