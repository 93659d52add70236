#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "kernels/backend.h"
#include "kernels/cuda/memory.cuh"

namespace gossamer::kernels::cuda {

/// Brings the index arrays of steps to the device, each step's with one copy. Where every sequence
/// has one new token (a decode step), an array's address is the same in all such steps, so that
/// recorded operations find it there.
class StepUpload {
 public:
  /// kOutOfMemory says what was asked for.
  static Result<StepUpload> create(const StepLimits& limits);

  /// Starts the copy in the stream; the host's arrays may change when this has returned. The views
  /// are valid until the next call. max_context_len of a decode step is rounded up to one of a few
  /// values. The block tables of both groups are parts of one array.
  Step begin(const StepInputs& inputs, cudaStream_t stream);

 private:
  /// Where the arrays begin, in indices.
  struct GroupPlaces {
    std::int64_t slots;
    std::int64_t starts;
  };
  struct Layout {
    std::int64_t tokens;
    std::int64_t positions;
    std::int64_t logit_rows;
    std::int64_t cu_seqlens_q;
    std::int64_t context_lens;
    GroupPlaces full;
    GroupPlaces sliding;
    std::int64_t block_tables;  // the full group's, behind them the sliding group's
  };
  /// The host's side of a copy, which the device reads a little later.
  struct Departure {
    std::unique_ptr<PinnedBuffer> memory;
    Event passed;
  };

  StepUpload() = default;
  Layout layout_for(int max_tokens) const;
  View arrived(std::int64_t begin, std::size_t size) const;
  AttentionBatch arrived_batch(
      const StepInputs& inputs,
      const GroupInputs& group,
      const GroupPlaces& places,
      const Layout& at
  ) const;
  static void write(const StepInputs& inputs, const Layout& at, std::int32_t* host);
  int rounded_context(int context_len) const;

  StepLimits limits_;
  Layout any_layout_{};
  Layout decode_layout_{};
  std::int64_t capacity_ = 0;  // indices
  std::unique_ptr<DeviceBuffer> arrival_;
  std::array<Departure, 2> departures_;
  std::size_t next_ = 0;
};

/// Whether every sequence of a step has one new token.
bool is_decode_step(const Step& step);

}  // namespace gossamer::kernels::cuda
