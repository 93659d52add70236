#include "checkpoint/synthetic_spec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

#include "checkpoint/strict_json.h"

namespace gossamer::checkpoint {
namespace {

constexpr std::string_view kPrefix = "synthetic:";

/// A key of the spec: its name, a short one (or the same), and the field that it sets.
struct IntegerKey {
  std::string_view name;
  std::string_view alias;
  int model::Config::*field;
};
constexpr std::array kIntegerKeys = {
    IntegerKey{"num_hidden_layers", "layers", &model::Config::num_hidden_layers},
    IntegerKey{"num_experts", "experts", &model::Config::num_experts},
    IntegerKey{"experts_per_token", "top_k", &model::Config::experts_per_token},
    IntegerKey{"vocab_size", "vocab", &model::Config::vocab_size},
    IntegerKey{"hidden_size", "hidden", &model::Config::hidden_size},
    IntegerKey{"intermediate_size", "intermediate", &model::Config::intermediate_size},
    IntegerKey{"head_dim", "head_dim", &model::Config::head_dim},
    IntegerKey{"num_attention_heads", "heads", &model::Config::num_attention_heads},
    IntegerKey{"num_key_value_heads", "kv_heads", &model::Config::num_key_value_heads},
    IntegerKey{"sliding_window", "window", &model::Config::sliding_window},
    IntegerKey{"initial_context_length", "initial_context", &model::Config::initial_context_length},
    IntegerKey{"max_context_length", "context", &model::Config::max_context_length},
};

struct RealKey {
  std::string_view name;
  std::string_view alias;
  double model::Config::*field;
};
constexpr std::array kRealKeys = {
    RealKey{"swiglu_limit", "swiglu_limit", &model::Config::swiglu_limit},
    RealKey{"rms_norm_eps", "rms_norm_eps", &model::Config::rms_norm_eps},
    RealKey{"rope_theta", "rope_theta", &model::Config::rope_theta},
    RealKey{"rope_scaling_factor", "rope_factor", &model::Config::rope_scaling_factor},
    RealKey{"rope_ntk_alpha", "rope_alpha", &model::Config::rope_ntk_alpha},
    RealKey{"rope_ntk_beta", "rope_beta", &model::Config::rope_ntk_beta},
};

template <class Keys>
auto find_key(const Keys& keys, std::string_view name) {
  return std::find_if(keys.begin(), keys.end(), [&](const auto& key) {
    return key.name == name || key.alias == name;
  });
}

template <class Number>
Status read_number(std::string_view key, std::string_view text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [stop, trouble] = std::from_chars(text.data(), end, number);
  if (trouble == std::errc() && stop == end) return {};
  return make_error(
      ErrorCode::kInvalidArgument,
      "synthetic model: {}={} is not {}",
      key,
      printable(text),
      std::is_integral_v<Number> ? "an integer in range" : "a number in range"
  );
}

/// The parse of one spec.
class SpecReader {
 public:
  Result<SyntheticSpec> read(std::string_view text) {
    spec_.config = config_20b();
    bool first = true;
    while (first || !text.empty()) {
      const std::size_t comma = std::min(text.find(','), text.size());
      GOSSAMER_RETURN_IF_ERROR(read_item(text.substr(0, comma), first));
      text.remove_prefix(std::min(comma + 1, text.size()));
      first = false;
    }
    model::Config& config = spec_.config;
    if (!context_stated_) {
      const double context =
          config.initial_context_length * std::max(config.rope_scaling_factor, 1.0);
      // A factor out of range, NaN even, is for validate to refuse.
      constexpr double kLongest = 1 << 30;
      config.max_context_length = context < kLongest ? static_cast<int>(context) : 1 << 30;
    }
    constexpr int kManyLayers = 10'000;
    config.layer_types =
        model::alternating_layer_types(std::min(config.num_hidden_layers, kManyLayers));
    GOSSAMER_RETURN_IF_ERROR(validate(config, "synthetic model"));
    return spec_;
  }

 private:
  Status read_item(std::string_view item, bool first) {
    const std::size_t equals = item.find('=');
    if (equals != std::string_view::npos) {
      return read_pair(item.substr(0, equals), item.substr(equals + 1));
    }
    if (first && item == "20b") return {};
    if (first && item == "120b") {
      spec_.config = config_120b();
      return {};
    }
    return make_error(
        ErrorCode::kInvalidArgument,
        "synthetic model: cannot read '{}'; expected 20b or 120b, then key=value, with keys {}",
        printable(item),
        synthetic_keys()
    );
  }

  Status read_pair(std::string_view key, std::string_view value) {
    if (key == "seed") return read_number(key, value, spec_.seed);
    if (const auto found = find_key(kIntegerKeys, key); found != kIntegerKeys.end()) {
      if (found->field == &model::Config::max_context_length) context_stated_ = true;
      return read_number(key, value, spec_.config.*found->field);
    }
    if (const auto found = find_key(kRealKeys, key); found != kRealKeys.end()) {
      return read_number(key, value, spec_.config.*found->field);
    }
    return make_error(
        ErrorCode::kInvalidArgument,
        "synthetic model: unknown key '{}'; the keys are {}",
        printable(key),
        synthetic_keys()
    );
  }

  SyntheticSpec spec_;
  bool context_stated_ = false;
};

}  // namespace

std::string synthetic_keys() {
  std::string list;
  const auto add = [&](std::string_view name, std::string_view alias) {
    list += name == alias ? fmt::format("{}, ", name) : fmt::format("{} ({}), ", name, alias);
  };
  for (const IntegerKey& key : kIntegerKeys) add(key.name, key.alias);
  for (const RealKey& key : kRealKeys) add(key.name, key.alias);
  return list + "seed";
}

model::Config config_20b() {
  model::Config config = config_120b();
  config.num_hidden_layers = 24;
  config.num_experts = 32;
  config.layer_types = model::alternating_layer_types(config.num_hidden_layers);
  return config;
}

model::Config config_120b() {
  model::Config config;
  config.layer_types = model::alternating_layer_types(config.num_hidden_layers);
  return config;
}

std::optional<std::string_view> synthetic_text(std::string_view model) {
  if (model.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
  return model.substr(kPrefix.size());
}

Result<SyntheticSpec> parse_synthetic_spec(std::string_view text) {
  return SpecReader().read(text);
}

}  // namespace gossamer::checkpoint
