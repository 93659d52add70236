#include "checkpoint/weight_generator.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "tensor/dtype.h"

namespace gossamer::checkpoint {
namespace {

constexpr std::uint64_t kWordBytes = 8;

/// SplitMix64's finaliser: every bit of the result depends on every bit of the counter.
std::uint64_t mix(std::uint64_t counter) {
  counter = (counter ^ (counter >> 30U)) * 0xBF58476D1CE4E5B9U;
  counter = (counter ^ (counter >> 27U)) * 0x94D049BB133111EBU;
  return counter ^ (counter >> 31U);
}

/// The counter's `index`-th random word. Steps by 2^64 / golden ratio, as SplitMix64 does.
std::uint64_t random_word(std::uint64_t key, std::uint64_t index) {
  return mix(key + index * 0x9E3779B97F4A7C15U);
}

struct Distribution {
  double mean;
  double deviation;
};

double over_root(double gain, double fan_in) {
  return gain / std::sqrt(fan_in);
}

/// What the values of a part look like.
Distribution distribution_of(Part part, const model::Config& config) {
  const double hidden = config.hidden_size;
  constexpr double kBias = 0.1;
  constexpr double kLogitSpread = 2.5;
  constexpr double kResidualGain = 0.5;  // what a layer adds to the residual stream
  switch (part) {
    case Part::kEmbedding:
      return {0, config.tie_word_embeddings ? over_root(kLogitSpread, hidden) : 1.0};
    case Part::kUnembedding:
      return {0, over_root(kLogitSpread, hidden)};
    case Part::kAttnNorm:
    case Part::kMlpNorm:
    case Part::kNorm:
      return {1, 0.1};
    case Part::kSinks:
      return {0, 1};
    case Part::kAttnOutWeight:
      return {0, over_root(kResidualGain, config.num_attention_heads * double(config.head_dim))};
    case Part::kDownBlocks:
    case Part::kDownScales:
      return {0, over_root(kResidualGain, config.intermediate_size)};
    case Part::kQueryWeight:
    case Part::kKeyWeight:
    case Part::kValueWeight:
    case Part::kRouterWeight:
    case Part::kGateUpBlocks:
    case Part::kGateUpScales:
      return {0, over_root(1, hidden)};
    case Part::kQueryBias:
    case Part::kKeyBias:
    case Part::kValueBias:
    case Part::kAttnOutBias:
    case Part::kRouterBias:
    case Part::kGateUpBias:
    case Part::kDownBias:
      return {0, kBias};
  }
  GOSSAMER_CHECK(false);
}

/// `count` (even) values of a near normal distribution, symmetric about its mean.
std::vector<tensor::BFloat16> normal_values(
    const Distribution& wanted, std::uint64_t key, std::size_t count
) {
  // The sum of four random bytes is near normal.
  constexpr double kSumMean = 510;
  const double sum_deviation = std::sqrt(4 * (256.0 * 256.0 - 1) / 12);
  std::vector<tensor::BFloat16> values;
  for (std::size_t pair = 0; pair < count / 2; ++pair) {
    const std::uint64_t random = random_word(~key, pair);
    double sum = 0;
    for (unsigned byte = 0; byte < 4; ++byte) {
      sum += static_cast<double>((random >> (8 * byte)) & 0xFFU);
    }
    const double offset = (sum - kSumMean) / sum_deviation * wanted.deviation;
    for (const double value : {wanted.mean + offset, wanted.mean - offset}) {
      values.push_back(tensor::BFloat16::from_float(static_cast<float>(value)));
    }
  }
  return values;
}

// The mean square of the 16 E2M1 values, each as likely.
constexpr double kCodeMeanSquare = 68.5 / 8;

}  // namespace

WeightGenerator::WeightGenerator(
    const WeightSpec& spec, const model::Config& config, std::uint64_t seed
)
    : key_(
          mix(mix(seed + 1) ^ (static_cast<std::uint64_t>(spec.part) << 32U |
                               static_cast<std::uint64_t>(spec.layer)))
      ) {
  const Distribution wanted = distribution_of(spec.part, config);
  if (spec.dtype == tensor::DType::kBF16) {
    kind_ = Kind::kBF16;
    values_ = normal_values(wanted, key_, kNumValues);
    return;
  }
  kind_ = spec.shape.rank() == 4 ? Kind::kCodes : Kind::kScales;
  // Scales are powers of two: mix the two around the wanted one so that the variance is met.
  const double wanted_square = wanted.deviation * wanted.deviation / kCodeMeanSquare;
  const int exponent = static_cast<int>(std::floor(std::log2(wanted_square) / 2));
  const double excess = wanted_square / std::ldexp(1.0, 2 * exponent);  // 1 to 4
  base_scale_ = exponent + 127;
  larger_of_256_ = static_cast<int>(std::lround((excess - 1) / 3 * 256));
}

std::uint64_t WeightGenerator::bf16_word(std::uint64_t index) const {
  const std::uint64_t random = random_word(key_, index);
  std::uint64_t word = 0;
  for (unsigned shift = 0; shift < 64; shift += 16) {
    const std::uint16_t bits = values_[(random >> shift) % kNumValues].bits;
    word |= static_cast<std::uint64_t>(bits) << shift;
  }
  return word;
}

std::uint64_t WeightGenerator::code_word(std::uint64_t index) const {
  return random_word(key_, index);
}

std::uint64_t WeightGenerator::scale_word(std::uint64_t index) const {
  const std::uint64_t random = random_word(key_, index);
  std::uint64_t word = 0;
  for (unsigned byte = 0; byte < kWordBytes; ++byte) {
    const auto draw = static_cast<int>((random >> (8 * byte)) & 0xFFU);
    const int scale = base_scale_ + (draw < larger_of_256_ ? 1 : 0);
    word |= static_cast<std::uint64_t>(scale) << (8 * byte);
  }
  return word;
}

void WeightGenerator::generate(std::uint64_t offset_bytes, std::span<std::byte> out) const {
  GOSSAMER_CHECK(offset_bytes % kWordBytes == 0);
  const auto fill = [&](auto make_word) {
    std::uint64_t index = offset_bytes / kWordBytes;
    std::size_t done = 0;
    for (; done + kWordBytes <= out.size(); done += kWordBytes, ++index) {
      const std::uint64_t word = make_word(index);
      std::memcpy(out.data() + done, &word, kWordBytes);
    }
    if (done < out.size()) {
      const std::uint64_t word = make_word(index);
      std::memcpy(out.data() + done, &word, out.size() - done);
    }
  };
  switch (kind_) {
    case Kind::kBF16:
      return fill([this](std::uint64_t index) { return bf16_word(index); });
    case Kind::kCodes:
      return fill([this](std::uint64_t index) { return code_word(index); });
    case Kind::kScales:
      return fill([this](std::uint64_t index) { return scale_word(index); });
  }
}

}  // namespace gossamer::checkpoint
