#include "bench/server/questions.h"

#include <fmt/format.h>

#include <array>

namespace gossamer::load {

using Json = nlohmann::ordered_json;

int Questions::below(int end) {
  return std::uniform_int_distribution<int>(0, end - 1)(random_);
}

bool Questions::happens(double share) {
  return std::bernoulli_distribution(share)(random_);
}

double Questions::next_seconds(double times_per_second) {
  return std::exponential_distribution<double>(times_per_second)(random_);
}

std::string Questions::question() {
  std::string text;
  for (int repeats = options_.has_prefaces ? below(2) * below(100) : 0; repeats > 0; --repeats) {
    text += "The following is a sum, and nothing else is asked. ";
  }
  const int first = 10 + below(90);
  const int second = 10 + below(90);
  return text + fmt::format("What is {} + {}?", first, second);
}

std::string Questions::effort() {
  constexpr std::array kEfforts = {"low", "medium", "high"};
  return kEfforts.at(below(kEfforts.size()));
}

Json Questions::chat_completion(bool streams) {
  Json body = {
      {"model", "any"},
      {"stream", streams},
      {"messages", Json::array({{{"role", "user"}, {"content", question()}}})},
      {"max_tokens", 1 + below(options_.max_tokens)},
      {"reasoning_effort", effort()}};
  if (streams) body["stream_options"]["include_usage"] = true;
  return body;
}

Json Questions::response(bool streams) {
  return {
      {"model", "any"},
      {"stream", streams},
      {"input", question()},
      {"max_output_tokens", 1 + below(options_.max_tokens)},
      {"store", happens(0.2)},
      {"reasoning", {{"effort", effort()}}}};
}

}  // namespace gossamer::load
