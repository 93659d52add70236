#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "kernels/cuda/device_sampler.cuh"

namespace gossamer::kernels::cuda {
namespace {

std::size_t words_of_mask(int vocab_size) {
  return (static_cast<std::size_t>(vocab_size) + 63) / 64;
}

/// Parameters in the making: parts, one after the other.
class ParameterBlock {
 public:
  static constexpr std::size_t kAlignment = 16;

  explicit ParameterBlock(std::byte* memory) : memory_(memory) {}

  /// Room for `count` elements.
  template <class T>
  T* add(std::size_t count) {
    T* const part = reinterpret_cast<T*>(memory_ + size_);
    size_ += (count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    return part;
  }

  /// Copies elements, and says where they are: how many elements after the block's beginning.
  template <class T>
  std::int64_t add_copy(std::span<const T> elements) {
    static_assert(kAlignment % sizeof(T) == 0);
    const std::size_t place = size_ / sizeof(T);
    std::copy(elements.begin(), elements.end(), add<T>(elements.size()));
    return static_cast<std::int64_t>(place);
  }

  std::size_t size() const { return size_; }

 private:
  std::byte* memory_;
  std::size_t size_ = 0;
};

std::size_t max_parameter_bytes(const DeviceSamplerLimits& limits) {
  const auto rows = static_cast<std::size_t>(limits.max_rows);
  const auto adjustments = static_cast<std::size_t>(limits.max_adjustments);
  ParameterBlock block(nullptr);
  block.add<SampleRowParams>(rows);
  block.add<Selection>(2 * rows);
  block.add<LogitAdjustment>(rows * adjustments);
  const std::size_t padding = rows * ParameterBlock::kAlignment;
  return block.size() + rows * words_of_mask(limits.vocab_size) * sizeof(std::uint64_t) + padding;
}

/// Whether a row's token is chosen from fewer than all.
bool selects(const SampleRow& row) {
  return row.temperature > 0 && (row.top_k > 0 || row.top_p < 1.0 || row.min_p > 0.0);
}

/// All but what refers to other parts of the parameters.
SampleRowParams params_of(const SampleRow& row) {
  constexpr double kLog2E = 1.4426950408889634074;
  constexpr double kMaxScale = 1e30;  // far from the largest float
  const double scale = row.temperature > 0 ? std::min(kLog2E / row.temperature, kMaxScale) : 0.0;
  const auto scale_high = static_cast<float>(scale);
  const double floor = row.min_p > 0.0 ? row.temperature * std::log(row.min_p)
                                       : -std::numeric_limits<double>::infinity();
  return {
      .number = row.number,
      .temperature = row.temperature,
      .top_p = row.top_p,
      .floor = floor,
      .frequency_penalty = row.frequency_penalty,
      .repetition_penalty = static_cast<float>(row.repetition_penalty),
      .presence_penalty = static_cast<float>(row.presence_penalty),
      .scale_high = scale_high,
      .scale_low = static_cast<float>(scale - static_cast<double>(scale_high)),
      .top_k = row.top_k,
      .num_top = row.num_top,
      .first_adjustment = 0,
      .num_adjustments = static_cast<std::int32_t>(row.adjustments.size()),
      .first_mask_word = -1,
      .choice_selection = -1,
      .top_selection = -1,
  };
}

}  // namespace

Result<std::unique_ptr<DeviceSampler>> DeviceSampler::create(const DeviceSamplerLimits& limits) {
  GOSSAMER_CHECK(0 < limits.vocab_size && limits.vocab_size <= kMaxSampleVocab);
  const std::size_t parameter_bytes = max_parameter_bytes(limits);
  GOSSAMER_ASSIGN_OR_RETURN(
      auto scratch, DeviceBuffer::allocate(sample_scratch_bytes(limits.max_rows, limits.vocab_size))
  );
  GOSSAMER_ASSIGN_OR_RETURN(auto parameters, DeviceBuffer::allocate(parameter_bytes));
  GOSSAMER_ASSIGN_OR_RETURN(auto staging, PinnedBuffer::allocate(parameter_bytes));
  GOSSAMER_ASSIGN_OR_RETURN(
      auto outputs,
      PinnedBuffer::allocate(static_cast<std::size_t>(limits.max_rows) * sizeof(SampleOutput))
  );
  return std::unique_ptr<DeviceSampler>(new DeviceSampler(
      limits, std::move(scratch), std::move(parameters), std::move(staging), std::move(outputs)
  ));
}

DeviceSampler::DeviceSampler(
    const DeviceSamplerLimits& limits,
    std::unique_ptr<DeviceBuffer> scratch,
    std::unique_ptr<DeviceBuffer> parameters,
    std::unique_ptr<PinnedBuffer> staging,
    std::unique_ptr<PinnedBuffer> outputs
)
    : limits_(limits),
      scratch_(std::move(scratch)),
      parameters_(std::move(parameters)),
      staging_(std::move(staging)),
      outputs_(std::move(outputs)) {}

bool DeviceSampler::can_sample(const SampleRow& row) const {
  return row.num_top <= kMaxTopLogprobs &&
         row.adjustments.size() <= static_cast<std::size_t>(limits_.max_adjustments);
}

void DeviceSampler::sample(
    tensor::View logits,
    std::span<const SampleRow> rows,
    std::span<SampleResult> out,
    cudaStream_t stream
) {
  GOSSAMER_CHECK(out.size() == rows.size());
  launch_sample(stage(logits, rows, stream), stream);
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  const auto* outputs = reinterpret_cast<const SampleOutput*>(outputs_->data());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const SampleOutput& output = outputs[i];
    out[i].token = output.token;
    out[i].logprob = output.logprob;
    out[i].top.clear();
    if (rows[i].num_top == 0) continue;  // the device has written none
    for (std::uint32_t k = 0; k < output.num_top; ++k) {
      out[i].top.push_back({output.top_tokens[k], output.top_logprobs[k]});
    }
  }
}

SampleKernelArgs DeviceSampler::stage(
    tensor::View logits, std::span<const SampleRow> rows, cudaStream_t stream
) {
  const auto num_rows = static_cast<std::int64_t>(rows.size());
  GOSSAMER_CHECK(num_rows <= limits_.max_rows);
  GOSSAMER_CHECK(logits.shape()[0] == num_rows && logits.shape()[1] == limits_.vocab_size);
  SampleKernelArgs args{};
  args.logits = logits.as<float>();
  args.num_rows = static_cast<int>(num_rows);
  args.vocab_size = limits_.vocab_size;
  args.scratch = place_sample_scratch(scratch_->data(), limits_.max_rows, limits_.vocab_size);
  args.outputs = reinterpret_cast<SampleOutput*>(outputs_->data());

  ParameterBlock block(staging_->data());
  SampleRowParams* params = args.few_rows;
  Selection* selections = args.few_selections;
  if (num_rows > kFewSampleRows) {
    args.rows = reinterpret_cast<const SampleRowParams*>(parameters_->data() + block.size());
    params = block.add<SampleRowParams>(rows.size());
    args.selections = reinterpret_cast<const Selection*>(parameters_->data() + block.size());
    selections = block.add<Selection>(2 * rows.size());
  }
  args.adjustments = reinterpret_cast<const LogitAdjustment*>(parameters_->data());
  args.mask_words = reinterpret_cast<const std::uint64_t*>(parameters_->data());
  const auto add_selection = [&](std::int32_t row, SelectionKind kind, bool has_bins) {
    args.has_bins = args.has_bins || has_bins;
    selections[args.num_selections] = {row, kind};
    return args.num_selections++;
  };
  for (std::int32_t i = 0; i < args.num_rows; ++i) {
    const SampleRow& row = rows[static_cast<std::size_t>(i)];
    GOSSAMER_CHECK(can_sample(row));
    params[i] = params_of(row);
    if (selects(row)) {
      const bool has_bins = row.top_k > 0 || row.top_p < 1.0;
      params[i].choice_selection = add_selection(i, SelectionKind::kChoice, has_bins);
    }
    if (row.num_top > 0) params[i].top_selection = add_selection(i, SelectionKind::kTop, true);
    params[i].first_adjustment = static_cast<std::int32_t>(block.add_copy(row.adjustments));
    if (row.allowed.empty()) continue;
    GOSSAMER_CHECK(row.allowed.size() == words_of_mask(limits_.vocab_size));
    params[i].first_mask_word = block.add_copy(row.allowed);
  }
  if (block.size() > 0) {
    const cudaError_t copied = cudaMemcpyAsync(
        parameters_->data(), staging_->data(), block.size(), cudaMemcpyHostToDevice, stream
    );
    check(copied, "cudaMemcpyAsync");
  }
  return args;
}

}  // namespace gossamer::kernels::cuda
