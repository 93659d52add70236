#include "api/model_list.h"

#include <utility>

namespace gossamer::api {
namespace {

Json catalogue_entry(const ModelCard& model) {
  Json levels = Json::array();
  for (const char* effort : {"low", "medium", "high"}) {
    levels.push_back({{"effort", effort}, {"description", effort}});
  }
  return {
      {"slug", model.id},
      {"display_name", model.id},
      {"description", "gpt-oss, run by gossamer"},
      {"default_reasoning_level", "medium"},
      {"supported_reasoning_levels", std::move(levels)},
      {"shell_type", "unified_exec"},
      {"visibility", "list"},
      {"supported_in_api", true},
      {"priority", 0},
      {"base_instructions", "You are a coding agent."},
      {"support_verbosity", false},
      {"apply_patch_tool_type", "freeform"},
      {"truncation_policy", {{"mode", "tokens"}, {"limit", 10000}}},
      {"context_window", model.context_length},
      {"max_context_window", model.context_length},
      {"input_modalities", Json::array({"text"})},
      {"experimental_supported_tools", Json::array()}};
}

}  // namespace

Json model_json(const ModelCard& model) {
  return {
      {"id", model.id},
      {"object", "model"},
      {"created", model.created},
      {"owned_by", "gossamer"},
      {"max_model_len", model.context_length}};
}

Json model_list_json(std::span<const ModelCard> models) {
  Json data = Json::array();
  Json catalogue = Json::array();
  for (const ModelCard& model : models) {
    data.push_back(model_json(model));
    catalogue.push_back(catalogue_entry(model));
  }
  return {{"object", "list"}, {"data", std::move(data)}, {"models", std::move(catalogue)}};
}

}  // namespace gossamer::api
