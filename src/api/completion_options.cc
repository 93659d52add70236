#include "api/completion_options.h"

#include <algorithm>
#include <cmath>

#include "api/ids.h"

namespace gossamer::api {
namespace {

// Each is looked for in every byte of the answer.
constexpr std::size_t kMaxStops = 16;
constexpr double kLowest = -9999.0;

}  // namespace

Json CompletionHead::json(std::string_view object) const {
  // Field by field: a list of pairs costs more, and this is done for each token.
  Json json = Json::object();
  json["id"] = id;
  json["object"] = object;
  json["created"] = created;
  json["model"] = model;
  return json;
}

std::vector<std::string> read_stop(const ObjectReader& request) {
  const Json* stop = request.find("stop");
  if (stop == nullptr) return {};
  if (stop->is_string() && stop->get_ref<const std::string&>().empty()) return {};
  if (stop->is_string()) return {stop->get<std::string>()};
  if (!stop->is_array()) {
    request.fail("stop", "must be a string or an array of strings");
    return {};
  }
  if (stop->size() > kMaxStops) request.fail("stop", "has more than 16 texts");
  std::vector<std::string> stops;
  for (std::size_t i = 0; i < stop->size() && !request.error(); ++i) {
    const Json& text = (*stop)[i];
    if (!text.is_string()) {
      request.fail(element_path("stop", i), "must be a string");
    } else if (!text.get_ref<const std::string&>().empty()) {
      stops.push_back(text.get<std::string>());
    }
  }
  return stops;
}

bool read_include_usage(const ObjectReader& request) {
  const Json* options = request.object("stream_options");
  if (options == nullptr) return false;
  const ObjectReader reader(*options, request.path_of("stream_options"), request.error());
  return reader.boolean("include_usage").value_or(false);
}

void refuse_several_choices(const ObjectReader& request) {
  for (const std::string_view key : {"n", "best_of"}) {
    if (request.integer(key, {1, 1e6}).value_or(1) == 1) continue;
    request.fail(key, "must be 1: this server gives one choice; send the request several times");
  }
}

std::string read_user(const ObjectReader& request) {
  return request.string_or("safety_identifier", request.string_or("user", ""));
}

std::string new_completion_id(std::string_view prefix) {
  std::string id = new_id(prefix);
  id[prefix.size()] = '-';
  return id;
}

Json completion_usage_json(const chat::TurnUsage& usage) {
  return {
      {"prompt_tokens", usage.prompt_tokens},
      {"completion_tokens", usage.output_tokens},
      {"total_tokens", usage.prompt_tokens + usage.output_tokens},
      {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}, {"audio_tokens", 0}}},
      {"completion_tokens_details",
       {{"reasoning_tokens", usage.reasoning_tokens},
        {"audio_tokens", 0},
        {"accepted_prediction_tokens", 0},
        {"rejected_prediction_tokens", 0}}}};
}

double finite_logprob(double logprob) {
  return std::isnan(logprob) ? kLowest : std::max(logprob, kLowest);
}

}  // namespace gossamer::api
