#include "model/config.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace gossamer::model {
namespace {

/// An integer of the config and the range it may have. The bounds are far above any model, and low
/// enough that no product of a few of them overflows 64 bits.
struct IntegerRule {
  const char* name;
  int Config::*field;
  int largest;
};
constexpr std::array kIntegerRules = {
    IntegerRule{"num_hidden_layers", &Config::num_hidden_layers, 10'000},
    IntegerRule{"num_experts", &Config::num_experts, 65'536},
    IntegerRule{"experts_per_token", &Config::experts_per_token, 65'536},
    IntegerRule{"vocab_size", &Config::vocab_size, 1 << 26},
    IntegerRule{"hidden_size", &Config::hidden_size, 1 << 20},
    IntegerRule{"intermediate_size", &Config::intermediate_size, 1 << 20},
    IntegerRule{"head_dim", &Config::head_dim, 4096},
    IntegerRule{"num_attention_heads", &Config::num_attention_heads, 65'536},
    IntegerRule{"num_key_value_heads", &Config::num_key_value_heads, 65'536},
    IntegerRule{"sliding_window", &Config::sliding_window, 1 << 30},
    IntegerRule{"initial_context_length", &Config::initial_context_length, 1 << 30},
    IntegerRule{"max_context_length", &Config::max_context_length, 1 << 30},
};

struct RealRule {
  const char* name;
  double Config::*field;
  double above;
};
constexpr std::array kRealRules = {
    RealRule{"swiglu_limit", &Config::swiglu_limit, 0},
    RealRule{"rms_norm_eps", &Config::rms_norm_eps, 0},
    RealRule{"rope_theta", &Config::rope_theta, 1},
    RealRule{"rope_scaling_factor", &Config::rope_scaling_factor, 0},
    RealRule{"rope_ntk_alpha", &Config::rope_ntk_alpha, 0},
    RealRule{"rope_ntk_beta", &Config::rope_ntk_beta, 0},
};
// A float's range: larger values turn into infinities in kernels.
constexpr double kLargestReal = 1e30;

Status validate_ranges(const Config& config, std::string_view where) {
  for (const IntegerRule& rule : kIntegerRules) {
    const int value = config.*rule.field;
    if (value < 1 || value > rule.largest) {
      return make_error(
          ErrorCode::kInvalidArgument,
          "{}: {} is {}, expected 1 to {}",
          where,
          rule.name,
          value,
          rule.largest
      );
    }
  }
  for (const RealRule& rule : kRealRules) {
    const double value = config.*rule.field;
    if (!(value > rule.above && value <= kLargestReal)) {
      return make_error(
          ErrorCode::kInvalidArgument,
          "{}: {} is {}, expected a finite number above {}",
          where,
          rule.name,
          value,
          rule.above
      );
    }
  }
  return {};
}

Status validate_multiples(const Config& config, std::string_view where) {
  constexpr int kBlock = 32;  // values that share a scale in MXFP4
  const auto error = [&](const char* name, int value, const char* expected) {
    return make_error(
        ErrorCode::kInvalidArgument, "{}: {} is {}, expected {}", where, name, value, expected
    );
  };
  if (config.hidden_size % kBlock != 0) {
    return error("hidden_size", config.hidden_size, "a multiple of 32, the MXFP4 block");
  }
  if (config.intermediate_size % kBlock != 0) {
    return error(
        "intermediate_size", config.intermediate_size, "a multiple of 32, the MXFP4 block"
    );
  }
  if (config.head_dim % 2 != 0) {
    return error("head_dim", config.head_dim, "an even number: RoPE rotates pairs");
  }
  if (config.num_attention_heads % config.num_key_value_heads != 0) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "{}: num_attention_heads is {}, expected a multiple of num_key_value_heads, {}",
        where,
        config.num_attention_heads,
        config.num_key_value_heads
    );
  }
  return {};
}

}  // namespace

std::vector<LayerType> alternating_layer_types(int num_hidden_layers) {
  std::vector<LayerType> types(
      static_cast<std::size_t>(std::max(num_hidden_layers, 0)), LayerType::kFull
  );
  for (std::size_t layer = 0; layer < types.size(); layer += 2) types[layer] = LayerType::kSliding;
  return types;
}

Status validate(const Config& config, std::string_view where) {
  GOSSAMER_RETURN_IF_ERROR(validate_ranges(config, where));
  GOSSAMER_RETURN_IF_ERROR(validate_multiples(config, where));
  if (config.experts_per_token > config.num_experts) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "{}: experts_per_token is {}, more than num_experts, {}",
        where,
        config.experts_per_token,
        config.num_experts
    );
  }
  if (config.layer_types.size() != static_cast<std::size_t>(config.num_hidden_layers)) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "{}: layer_types has {} entries, expected one for each of {} layers",
        where,
        config.layer_types.size(),
        config.num_hidden_layers
    );
  }
  if (config.rope_scaling_factor > 1 && config.rope_ntk_beta <= config.rope_ntk_alpha) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "{}: rope_ntk_beta (beta_fast) is {}, expected more than rope_ntk_alpha (beta_slow), {}",
        where,
        config.rope_ntk_beta,
        config.rope_ntk_alpha
    );
  }
  return {};
}

}  // namespace gossamer::model
