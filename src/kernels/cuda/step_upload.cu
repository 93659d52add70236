#include <algorithm>
#include <bit>
#include <utility>

#include "kernels/cuda/packed_weights.h"
#include "kernels/cuda/step_upload.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr std::int64_t kAlignment = 32;  // indices: 128 bytes
constexpr int kLeastRoundedContext = 1024;

template <class T>
void put(std::span<const T> values, std::int32_t* to) {
  std::copy(values.begin(), values.end(), to);
}

/// Where the tables of sequences begin, in an array in which others lie before them.
void put_starts(std::span<const std::int32_t> starts, std::size_t others, std::int32_t* to) {
  std::transform(starts.begin(), starts.end(), to, [&](std::int32_t start) {
    return start + static_cast<std::int32_t>(others);
  });
}

bool has_one_token_each(const StepInputs& inputs) {
  return inputs.tokens.size() == inputs.context_lens.size();
}

int longest_query(const StepInputs& inputs) {
  int longest = 0;
  for (std::size_t s = 0; s < inputs.context_lens.size(); ++s) {
    longest = std::max(longest, inputs.cu_seqlens_q[s + 1] - inputs.cu_seqlens_q[s]);
  }
  return longest;
}

int longest_context(const StepInputs& inputs) {
  const auto longest = std::max_element(inputs.context_lens.begin(), inputs.context_lens.end());
  return longest == inputs.context_lens.end() ? 0 : *longest;
}

}  // namespace

bool is_decode_step(const Step& step) {
  return step.full.num_tokens == step.full.num_sequences;
}

Result<StepUpload> StepUpload::create(const StepLimits& limits) {
  StepUpload upload;
  upload.limits_ = limits;
  upload.any_layout_ = upload.layout_for(limits.max_tokens);
  upload.decode_layout_ = upload.layout_for(std::min(limits.max_tokens, limits.max_sequences));
  const std::int64_t table_blocks = round_up(limits.max_context, kBlockSize) / kBlockSize;
  upload.capacity_ = upload.any_layout_.block_tables + 2 * limits.max_sequences * table_blocks;
  const std::size_t bytes = static_cast<std::size_t>(upload.capacity_) * sizeof(std::int32_t);
  GOSSAMER_ASSIGN_OR_RETURN(upload.arrival_, DeviceBuffer::allocate(bytes));
  for (Departure& departure : upload.departures_) {
    GOSSAMER_ASSIGN_OR_RETURN(departure.memory, PinnedBuffer::allocate(bytes));
    departure.passed = make_event();
  }
  return Result<StepUpload>(std::move(upload));
}

StepUpload::Layout StepUpload::layout_for(int max_tokens) const {
  std::int64_t end = 0;
  const auto take = [&](std::int64_t size) {
    return std::exchange(end, end + round_up(size, kAlignment));
  };
  Layout layout{};
  layout.tokens = take(max_tokens);
  layout.positions = take(max_tokens);
  layout.full.slots = take(max_tokens);
  layout.sliding.slots = take(max_tokens);
  layout.logit_rows = take(limits_.max_logit_rows);
  layout.cu_seqlens_q = take(limits_.max_sequences + 1);
  layout.context_lens = take(limits_.max_sequences);
  layout.full.starts = take(limits_.max_sequences + 1);
  layout.sliding.starts = take(limits_.max_sequences + 1);
  layout.block_tables = end;
  return layout;
}

View StepUpload::arrived(std::int64_t begin, std::size_t size) const {
  return arrival_->view(
      static_cast<std::size_t>(begin) * sizeof(std::int32_t),
      DType::kI32,
      {static_cast<std::int64_t>(size)}
  );
}

int StepUpload::rounded_context(int context_len) const {
  const auto rounded =
      std::bit_ceil(static_cast<unsigned>(std::max(context_len, kLeastRoundedContext)));
  return std::max(context_len, std::min(static_cast<int>(rounded), limits_.max_context));
}

AttentionBatch StepUpload::arrived_batch(
    const StepInputs& inputs, const GroupInputs& group, const GroupPlaces& places, const Layout& at
) const {
  const int longest = longest_context(inputs);
  return {
      .cu_seqlens_q = arrived(at.cu_seqlens_q, inputs.cu_seqlens_q.size()),
      .context_lens = arrived(at.context_lens, inputs.context_lens.size()),
      .slot_mapping = arrived(places.slots, group.slot_mapping.size()),
      .block_table = arrived(
          at.block_tables, inputs.full.block_table.size() + inputs.sliding.block_table.size()
      ),
      .block_table_starts = arrived(places.starts, group.block_table_starts.size()),
      .num_sequences = static_cast<int>(inputs.context_lens.size()),
      .num_tokens = static_cast<int>(inputs.tokens.size()),
      .max_query_len = longest_query(inputs),
      .max_context_len = has_one_token_each(inputs) ? rounded_context(longest) : longest,
  };
}

void StepUpload::write(const StepInputs& inputs, const Layout& at, std::int32_t* host) {
  const std::size_t full_blocks = inputs.full.block_table.size();
  put(inputs.tokens, host + at.tokens);
  put(inputs.positions, host + at.positions);
  put(inputs.full.slot_mapping, host + at.full.slots);
  put(inputs.sliding.slot_mapping, host + at.sliding.slots);
  put(inputs.logit_rows, host + at.logit_rows);
  put(inputs.cu_seqlens_q, host + at.cu_seqlens_q);
  put(inputs.context_lens, host + at.context_lens);
  put_starts(inputs.full.block_table_starts, 0, host + at.full.starts);
  put_starts(inputs.sliding.block_table_starts, full_blocks, host + at.sliding.starts);
  put(inputs.full.block_table, host + at.block_tables);
  put(inputs.sliding.block_table, host + at.block_tables + static_cast<std::int64_t>(full_blocks));
}

Step StepUpload::begin(const StepInputs& inputs, cudaStream_t stream) {
  GOSSAMER_CHECK(inputs.tokens.size() <= static_cast<std::size_t>(limits_.max_tokens));
  GOSSAMER_CHECK(inputs.context_lens.size() <= static_cast<std::size_t>(limits_.max_sequences));
  GOSSAMER_CHECK(inputs.logit_rows.size() <= static_cast<std::size_t>(limits_.max_logit_rows));
  const bool decode = has_one_token_each(inputs);
  const Layout& at = decode ? decode_layout_ : any_layout_;
  const std::size_t full_blocks = inputs.full.block_table.size();
  const std::size_t all_blocks = full_blocks + inputs.sliding.block_table.size();
  const std::int64_t end = at.block_tables + static_cast<std::int64_t>(all_blocks);
  GOSSAMER_CHECK(end <= capacity_);

  Departure& departure = departures_[next_];
  next_ = (next_ + 1) % departures_.size();
  check(cudaEventSynchronize(departure.passed.get()), "cudaEventSynchronize");
  auto* host = reinterpret_cast<std::int32_t*>(departure.memory->data());
  write(inputs, at, host);
  check(
      cudaMemcpyAsync(
          arrival_->data(),
          host,
          static_cast<std::size_t>(end) * sizeof(std::int32_t),
          cudaMemcpyHostToDevice,
          stream
      ),
      "cudaMemcpyAsync"
  );
  check(cudaEventRecord(departure.passed.get(), stream), "cudaEventRecord");
  return {
      .tokens = arrived(at.tokens, inputs.tokens.size()),
      .positions = arrived(at.positions, inputs.positions.size()),
      .logit_rows = arrived(at.logit_rows, inputs.logit_rows.size()),
      .full = arrived_batch(inputs, inputs.full, at.full, at),
      .sliding = arrived_batch(inputs, inputs.sliding, at.sliding, at),
  };
}

}  // namespace gossamer::kernels::cuda
