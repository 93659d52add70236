#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/token_id.h"

namespace gossamer::model {

/// How far back a layer's attention reaches.
enum class LayerType : std::uint8_t { kSliding, kFull };

/// The numbers of a gpt-oss model. Field names follow the original config.json.
struct Config {
  int num_hidden_layers = 36;
  int num_experts = 128;
  int experts_per_token = 4;
  int vocab_size = 201088;
  int hidden_size = 2880;
  int intermediate_size = 2880;
  int head_dim = 64;
  int num_attention_heads = 64;
  int num_key_value_heads = 8;
  int sliding_window = 128;
  int initial_context_length = 4096;
  int max_context_length = 131072;
  double swiglu_limit = 7.0;
  double rms_norm_eps = 1e-5;
  double rope_theta = 150000.0;
  double rope_scaling_factor = 32.0;
  double rope_ntk_alpha = 1.0;
  double rope_ntk_beta = 32.0;
  bool rope_truncate = false;          ///< YaRN bounds rounded outwards to whole dimensions
  std::vector<LayerType> layer_types;  ///< one a layer; sliding first, alternating, unless stated
  std::vector<TokenId> eos_token_ids;  ///< from the config, when it has any
  bool tie_word_embeddings = false;    ///< the unembedding is the embedding

  bool operator==(const Config&) const = default;
};

/// Sliding and full in turn, sliding first: the released models' layer types.
std::vector<LayerType> alternating_layer_types(int num_hidden_layers);

/// Checks that a model can have these numbers, and that gossamer's formats can hold them.
Status validate(const Config& config, std::string_view where);

}  // namespace gossamer::model
