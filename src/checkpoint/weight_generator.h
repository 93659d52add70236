#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "checkpoint/weight_schema.h"
#include "model/config.h"
#include "tensor/dtype.h"

namespace gossamer::checkpoint {

/// Makes the random weights of one canonical tensor, any part of it at any time: every 8 bytes
/// depend on the seed, the tensor and their place alone (a counter-based generator), so threads and
/// files share the work as they like and get the same model.
///
/// Scales are such that activations stay near 1 through any number of layers and logits spread over
/// a few units: bf16 matrices are near normal with a variance of 1 / fan_in (a quarter of that
/// where they write to the residual stream), norms are near 1, and MXFP4 codes are uniform under
/// scales that give the same variance.
class WeightGenerator {
 public:
  WeightGenerator(const WeightSpec& spec, const model::Config& config, std::uint64_t seed);

  /// Writes the tensor's bytes [offset_bytes, offset_bytes + out.size()). offset_bytes must be a
  /// multiple of 8. Any thread.
  void generate(std::uint64_t offset_bytes, std::span<std::byte> out) const;

 private:
  std::uint64_t bf16_word(std::uint64_t index) const;
  std::uint64_t code_word(std::uint64_t index) const;
  std::uint64_t scale_word(std::uint64_t index) const;

  enum class Kind : std::uint8_t { kBF16, kCodes, kScales };

  // As many values as a bf16 tensor draws from: enough to look normal, few enough for the L1 cache.
  static constexpr std::size_t kNumValues = 4096;

  Kind kind_;
  std::uint64_t key_;
  std::vector<tensor::BFloat16> values_;  // kBF16
  int base_scale_ = 0;                    // kScales: the smaller of the two scale bytes
  int larger_of_256_ = 0;                 // kScales: how many in 256 are the larger one
};

}  // namespace gossamer::checkpoint
