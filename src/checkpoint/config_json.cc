#include "checkpoint/config_json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "checkpoint/strict_json.h"

namespace gossamer::checkpoint {
namespace {

using nlohmann::json;

// Keys of Hugging Face configs that say nothing about inference, or repeat what is read elsewhere.
constexpr std::array kIgnoredKeys = {
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "dtype",
    "experts_per_token",
    "hidden_act",  // "silu" in the released files, which is not what the model computes
    "initial_context_length",
    "initializer_range",
    "max_position_embeddings",
    "output_router_logits",
    "pad_token_id",
    "rope_theta",
    "router_aux_loss_coef",
    "torch_dtype",
    "transformers_version",
    "use_cache",
};

/// Reads typed values out of one JSON object, remembers which keys were asked for, and keeps the
/// first error. A value of null is an absent one.
class ObjectReader {
 public:
  /// `prefix` goes before key names in messages: "" or "rope_scaling.".
  ObjectReader(const json& object, std::string_view where, std::string prefix)
      : object_(object), where_(where), prefix_(std::move(prefix)) {}

  const json* find(const char* key) {
    known_.insert(key);
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  /// Sets `field` when the key is there; false when it is absent.
  bool read(const char* key, int& field) {
    const json* value = find(key);
    if (value == nullptr) return false;
    // 128.0 is an integer to the Python programs that write these files.
    const double number = value->is_number() ? value->get<double>() : std::nan("");
    if (!(std::trunc(number) == number)) {
      fail(key, *value, "an integer");
    } else if (std::abs(number) > std::numeric_limits<int>::max()) {
      fail(key, *value, "an integer of at most 31 bits");
    } else {
      field = static_cast<int>(number);
    }
    return true;
  }

  bool read(const char* key, double& field) {
    const json* value = find(key);
    if (value == nullptr) return false;
    if (value->is_number()) {
      field = value->get<double>();
    } else {
      fail(key, *value, "a number");
    }
    return true;
  }

  bool read(const char* key, bool& field) {
    const json* value = find(key);
    if (value == nullptr) return false;
    if (value->is_boolean()) {
      field = value->get<bool>();
    } else {
      fail(key, *value, "true or false");
    }
    return true;
  }

  bool read(const char* key, std::string& field) {
    const json* value = find(key);
    if (value == nullptr) return false;
    if (value->is_string()) {
      field = value->get<std::string>();
    } else {
      fail(key, *value, "a string");
    }
    return true;
  }

  /// The object under a key, or nullptr.
  const json* read_object(const char* key) {
    const json* value = find(key);
    if (value != nullptr && !value->is_object()) {
      fail(key, *value, "an object");
      return nullptr;
    }
    return value;
  }

  void ignore(const char* key) { known_.insert(key); }

  void fail(const char* key, const json& found, const char* expected) {
    fail(ErrorCode::kCorruptData, key, found, expected);
  }

  void fail(ErrorCode code, const char* key, const json& found, const char* expected) {
    if (!status_.ok()) return;
    status_ = make_error(
        code, "{}: {}{} is {}, expected {}", where_, prefix_, key, printable(found.dump()), expected
    );
  }

  const Status& status() const { return status_; }

  /// A line for every key that nothing asked for.
  void warn_about_unknown_keys(std::vector<std::string>& warnings) const {
    for (const auto& item : object_.items()) {
      if (known_.count(item.key()) == 0) {
        warnings.push_back(
            fmt::format("{}: unknown key '{}{}'", where_, prefix_, printable(item.key()))
        );
      }
    }
  }

 private:
  const json& object_;
  std::string_view where_;
  std::string prefix_;
  std::set<std::string, std::less<>> known_;
  Status status_;
};

/// The parse of one config.json.
class ConfigReader {
 public:
  ConfigReader(const json& document, std::string_view where)
      : document_(document), where_(where), top_(document, where, "") {}

  Result<ParsedConfig> read() {
    const bool hugging_face = document_.contains("model_type") ||
                              document_.contains("num_local_experts") ||
                              document_.contains("max_position_embeddings");
    read_sizes();
    if (hugging_face) {
      read_hugging_face();
    } else {
      read_original();
    }
    GOSSAMER_RETURN_IF_ERROR(top_.status());
    GOSSAMER_RETURN_IF_ERROR(rope_status_);
    if (parsed_.config.layer_types.empty()) {
      // Checked first: the number of layers decides how many types there are.
      constexpr int kManyLayers = 10'000;
      parsed_.config.layer_types =
          model::alternating_layer_types(std::min(parsed_.config.num_hidden_layers, kManyLayers));
    }
    GOSSAMER_RETURN_IF_ERROR(validate(parsed_.config, where_));
    drop_end_tokens_outside_the_vocabulary();
    top_.warn_about_unknown_keys(parsed_.warnings);
    return std::move(parsed_);
  }

 private:
  void warn(std::string text) {
    parsed_.warnings.push_back(fmt::format("{}: {}", where_, std::move(text)));
  }

  /// A size, under the first of its names that is there.
  void read_size(int& field, std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (top_.read(name, field)) return;
    }
    warn(fmt::format("no {}; taking the 120b's, {}", *names.begin(), field));
  }

  /// What both layouts state, most of it under the same names.
  void read_sizes() {
    model::Config& config = parsed_.config;
    read_size(config.num_hidden_layers, {"num_hidden_layers"});
    read_size(config.num_experts, {"num_experts", "num_local_experts"});
    read_size(config.experts_per_token, {"experts_per_token", "num_experts_per_tok"});
    read_size(config.vocab_size, {"vocab_size"});
    read_size(config.hidden_size, {"hidden_size"});
    read_size(config.intermediate_size, {"intermediate_size"});
    read_size(config.head_dim, {"head_dim"});
    read_size(config.num_attention_heads, {"num_attention_heads"});
    read_size(config.num_key_value_heads, {"num_key_value_heads"});
    read_size(config.sliding_window, {"sliding_window"});
    check_agreement("num_experts", "num_local_experts", config.num_experts);
    check_agreement("experts_per_token", "num_experts_per_tok", config.experts_per_token);
    top_.read("swiglu_limit", config.swiglu_limit);
    top_.read("rms_norm_eps", config.rms_norm_eps);
  }

  /// Two names for one number must not disagree.
  void check_agreement(const char* first, const char* second, int value) {
    int other = value;
    top_.read(second, other);
    if (other != value) {
      top_.fail(
          ErrorCode::kInvalidArgument,
          second,
          document_[second],
          fmt::format("{}, which {} says", value, first).c_str()
      );
    }
  }

  void read_original() {
    model::Config& config = parsed_.config;
    top_.read("initial_context_length", config.initial_context_length);
    top_.read("rope_theta", config.rope_theta);
    top_.read("rope_scaling_factor", config.rope_scaling_factor);
    top_.read("rope_ntk_alpha", config.rope_ntk_alpha);
    top_.read("rope_ntk_beta", config.rope_ntk_beta);
    const double longest =
        config.initial_context_length * std::max(config.rope_scaling_factor, 1.0);
    config.max_context_length = static_cast<int>(std::clamp(longest, 0.0, 1073741824.0));
  }

  void read_hugging_face() {
    model::Config& config = parsed_.config;
    for (const char* key : kIgnoredKeys) top_.ignore(key);
    top_.read("max_position_embeddings", config.max_context_length);
    top_.read("tie_word_embeddings", config.tie_word_embeddings);
    require_word("model_type", "gpt_oss");
    bool attention_bias = true;
    top_.read("attention_bias", attention_bias);
    if (!attention_bias) {
      top_.fail(ErrorCode::kUnsupported, "attention_bias", false, "true, as in every gpt-oss");
    }
    if (const json* quantization = top_.read_object("quantization_config")) {
      const auto method = quantization->find("quant_method");
      if (method == quantization->end() || *method != "mxfp4") {
        top_.fail(
            ErrorCode::kUnsupported,
            "quantization_config",
            *quantization,
            "quant_method \"mxfp4\", as released"
        );
      }
    }
    read_layer_types();
    read_end_tokens();
    read_rope();
  }

  void require_word(const char* key, const char* expected) {
    std::string word = expected;
    top_.read(key, word);
    if (word != expected) {
      top_.fail(ErrorCode::kUnsupported, key, word, fmt::format("\"{}\"", expected).c_str());
    }
  }

  void read_layer_types() {
    const json* types = top_.find("layer_types");
    if (types == nullptr) return;
    if (!types->is_array()) return top_.fail("layer_types", *types, "an array");
    for (const json& type : *types) {
      if (type == "sliding_attention") {
        parsed_.config.layer_types.push_back(model::LayerType::kSliding);
      } else if (type == "full_attention") {
        parsed_.config.layer_types.push_back(model::LayerType::kFull);
      } else {
        return top_.fail(
            "layer_types", type, "entries \"sliding_attention\" or \"full_attention\""
        );
      }
    }
    if (types->empty()) top_.fail("layer_types", *types, "an entry a layer");
  }

  void read_end_tokens() {
    const json* value = top_.find("eos_token_id");
    if (value == nullptr) return;
    const json ids = value->is_array() ? *value : json::array({*value});
    for (const json& id : ids) {
      if (!id.is_number_unsigned() || id.get<std::uint64_t>() > UINT32_MAX) {
        return top_.fail("eos_token_id", *value, "a token id or an array of them");
      }
      parsed_.config.eos_token_ids.push_back(id.get<TokenId>());
    }
  }

  /// Models cut down for tests often keep the ids of the full vocabulary.
  void drop_end_tokens_outside_the_vocabulary() {
    auto& ids = parsed_.config.eos_token_ids;
    const auto size = static_cast<TokenId>(parsed_.config.vocab_size);
    for (const TokenId id : ids) {
      if (id >= size) {
        warn(fmt::format("eos_token_id {} is outside the vocabulary of {}; not used", id, size));
      }
    }
    ids.erase(
        std::remove_if(ids.begin(), ids.end(), [&](TokenId id) { return id >= size; }), ids.end()
    );
  }

  /// `rope_scaling`, or `rope_parameters` as newer writers call it; neither means plain RoPE.
  void read_rope() {
    model::Config& config = parsed_.config;
    top_.read("rope_theta", config.rope_theta);
    const json* scaling = top_.read_object("rope_scaling");
    const json* parameters = top_.read_object("rope_parameters");
    const bool stated_context = top_.read("initial_context_length", config.initial_context_length);
    if (!stated_context) config.initial_context_length = config.max_context_length;
    config.rope_scaling_factor = 1;
    if (parameters != nullptr) return read_rope_block(*parameters, "rope_parameters.");
    if (scaling != nullptr) return read_rope_block(*scaling, "rope_scaling.");
  }

  void read_rope_block(const json& object, const char* prefix) {
    model::Config& config = parsed_.config;
    ObjectReader block(object, where_, prefix);
    block.read("rope_theta", config.rope_theta);
    std::string type = "default";
    if (!block.read("rope_type", type)) block.read("type", type);
    block.ignore("type");
    if (type == "yarn") {
      read_yarn(block, object);
    } else if (type != "default") {
      block.fail(ErrorCode::kUnsupported, "rope_type", type, "\"yarn\" or \"default\"");
    }
    block.warn_about_unknown_keys(parsed_.warnings);
    rope_status_ = block.status();
  }

  void read_yarn(ObjectReader& block, const json& object) {
    model::Config& config = parsed_.config;
    if (!block.read("factor", config.rope_scaling_factor)) {
      block.fail("factor", nullptr, "a number, as rope_type is \"yarn\"");
    }
    block.read("beta_slow", config.rope_ntk_alpha);
    block.read("beta_fast", config.rope_ntk_beta);
    block.read("original_max_position_embeddings", config.initial_context_length);
    config.rope_truncate = true;  // what transformers takes an absent key to mean
    block.read("truncate", config.rope_truncate);
    for (const char* key : {"mscale", "mscale_all_dim"}) {
      if (block.find(key) != nullptr) {
        block.fail(ErrorCode::kUnsupported, key, object[key], "no such key");
      }
    }
    const double natural = 0.1 * std::log(std::max(config.rope_scaling_factor, 1.0)) + 1.0;
    double factor = natural;
    block.read("attention_factor", factor);
    constexpr double kTolerance = 1e-6;
    if (!(std::abs(factor - natural) < kTolerance)) {
      block.fail(
          ErrorCode::kUnsupported,
          "attention_factor",
          factor,
          fmt::format("0.1 ln(factor) + 1 = {}", natural).c_str()
      );
    }
  }

  const json& document_;
  std::string_view where_;
  ObjectReader top_;
  Status rope_status_;
  ParsedConfig parsed_;
};

/// The numbers that both layouts state under the same keys.
nlohmann::ordered_json shared_keys(const model::Config& config) {
  return {
      {"num_hidden_layers", config.num_hidden_layers},
      {"experts_per_token", config.experts_per_token},
      {"vocab_size", config.vocab_size},
      {"hidden_size", config.hidden_size},
      {"intermediate_size", config.intermediate_size},
      {"swiglu_limit", config.swiglu_limit},
      {"head_dim", config.head_dim},
      {"num_attention_heads", config.num_attention_heads},
      {"num_key_value_heads", config.num_key_value_heads},
      {"sliding_window", config.sliding_window},
      {"initial_context_length", config.initial_context_length},
      {"rope_theta", config.rope_theta},
  };
}

}  // namespace

Result<ParsedConfig> parse_config(std::string_view json_text, std::string_view where) {
  GOSSAMER_ASSIGN_OR_RETURN(const json document, parse_json_object(json_text, where));
  return ConfigReader(document, where).read();
}

std::string to_original_json(const model::Config& config) {
  auto document = shared_keys(config);
  document["num_experts"] = config.num_experts;
  document["rope_scaling_factor"] = config.rope_scaling_factor;
  document["rope_ntk_alpha"] = config.rope_ntk_alpha;
  document["rope_ntk_beta"] = config.rope_ntk_beta;
  return document.dump(2) + "\n";
}

std::string to_hugging_face_json(const model::Config& config) {
  auto document = shared_keys(config);
  document["architectures"] = {"GptOssForCausalLM"};
  document["model_type"] = "gpt_oss";
  document["attention_bias"] = true;
  document["num_local_experts"] = config.num_experts;
  document["num_experts_per_tok"] = config.experts_per_token;
  document["max_position_embeddings"] = config.max_context_length;
  document["rms_norm_eps"] = config.rms_norm_eps;
  document["tie_word_embeddings"] = config.tie_word_embeddings;
  if (!config.eos_token_ids.empty()) document["eos_token_id"] = config.eos_token_ids;
  auto& types = document["layer_types"] = nlohmann::ordered_json::array();
  for (const model::LayerType type : config.layer_types) {
    types.push_back(type == model::LayerType::kSliding ? "sliding_attention" : "full_attention");
  }
  document["rope_scaling"] = {
      {"rope_type", "yarn"},
      {"factor", config.rope_scaling_factor},
      {"beta_fast", config.rope_ntk_beta},
      {"beta_slow", config.rope_ntk_alpha},
      {"original_max_position_embeddings", config.initial_context_length},
      {"truncate", config.rope_truncate},
  };
  document["quantization_config"] = {
      {"quant_method", "mxfp4"},
      {"modules_to_not_convert",
       {"model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"}},
  };
  return document.dump(2) + "\n";
}

}  // namespace gossamer::checkpoint
