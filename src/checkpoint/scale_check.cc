#include "checkpoint/scale_check.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <span>
#include <vector>

namespace gossamer::checkpoint {
namespace {

constexpr std::uint8_t kNotANumber = 255;
constexpr std::size_t kTaskBytes = 1 << 20;

/// A run of scales to look through.
struct Task {
  std::size_t tensor;
  std::size_t begin;
  std::size_t end;
};

/// The scales of each layer: gate_up at 2 * layer, down after it.
std::vector<tensor::View> all_scales(const model::Weights& weights) {
  std::vector<tensor::View> scales;
  for (const model::LayerWeights& layer : weights.layers) {
    scales.push_back(layer.gate_up.weight.scales);
    scales.push_back(layer.down.weight.scales);
  }
  return scales;
}

/// True when a byte of the run is 255: a loop without a branch, which compilers make wide.
bool has_nan(std::span<const std::uint8_t> scales) {
  std::uint8_t largest = 0;
  for (const std::uint8_t scale : scales) largest = std::max(largest, scale);
  return largest == kNotANumber;
}

Error nan_error(std::size_t tensor, const tensor::View& scales) {
  const std::uint8_t* bytes = scales.as<std::uint8_t>();
  const auto place = std::find(bytes, bytes + scales.size_bytes(), kNotANumber) - bytes;
  const std::int64_t blocks = scales.shape()[2];
  const std::int64_t rows = scales.shape()[1];
  return make_error(
      ErrorCode::kCorruptData,
      "layer {}: the {} scale of expert {}, row {}, block {} is 255, which MXFP4 reads as not a "
      "number; expected 0 to 254: the file is damaged",
      tensor / 2,
      tensor % 2 == 0 ? "mlp1 (gate_up_proj)" : "mlp2 (down_proj)",
      place / (rows * blocks),
      place / blocks % rows,
      place % blocks
  );
}

}  // namespace

std::uint64_t scale_bytes(const model::Weights& weights) {
  std::uint64_t bytes = 0;
  for (const tensor::View& scales : all_scales(weights)) bytes += scales.size_bytes();
  return bytes;
}

Status check_scales(const model::Weights& weights, ThreadPool& pool) {
  const std::vector<tensor::View> scales = all_scales(weights);
  std::vector<Task> tasks;
  for (std::size_t i = 0; i < scales.size(); ++i) {
    for (std::size_t begin = 0; begin < scales[i].size_bytes(); begin += kTaskBytes) {
      tasks.push_back({i, begin, std::min(begin + kTaskBytes, scales[i].size_bytes())});
    }
  }
  std::atomic<std::size_t> first_bad = scales.size();
  pool.run(tasks.size(), [&](std::size_t index, int) {
    const Task& task = tasks[index];
    const std::span all(scales[task.tensor].as<std::uint8_t>(), task.end);
    if (!has_nan(all.subspan(task.begin))) return;
    std::size_t known = first_bad.load();
    while (task.tensor < known && !first_bad.compare_exchange_weak(known, task.tensor)) {
    }
  });
  if (first_bad < scales.size()) return nan_error(first_bad, scales[first_bad]);
  return {};
}

}  // namespace gossamer::checkpoint
