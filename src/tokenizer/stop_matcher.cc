#include "tokenizer/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace gossamer::tokenizer {

StopMatcher::StopMatcher(std::vector<std::string> stops) {
  for (std::string& text : stops) {
    if (text.empty()) continue;
    Stop stop{std::move(text), {}};
    stop.fallback.assign(stop.text.size() + 1, 0);
    for (std::size_t i = 1; i < stop.text.size(); ++i) {
      stop.advance(stop.text[i]);
      stop.fallback[i + 1] = stop.matched;
    }
    stop.matched = 0;
    stops_.push_back(std::move(stop));
  }
}

void StopMatcher::Stop::advance(char byte) {
  while (matched > 0 && text[matched] != byte) matched = fallback[matched];
  if (text[matched] == byte) ++matched;
}

std::string StopMatcher::push(std::string_view text) {
  if (stopped_) return {};
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::size_t stop_size = 0;
    for (Stop& stop : stops_) {
      stop.advance(text[i]);
      if (stop.matched == stop.text.size()) stop_size = std::max(stop_size, stop.matched);
    }
    if (stop_size == 0) continue;
    stopped_ = true;
    held_ += text.substr(0, i + 1);
    held_.resize(held_.size() - stop_size);
    return std::exchange(held_, {});
  }
  std::size_t hold = 0;
  for (const Stop& stop : stops_) hold = std::max(hold, stop.matched);
  held_ += text;
  std::string safe = held_.substr(0, held_.size() - hold);
  held_.erase(0, safe.size());
  return safe;
}

std::string StopMatcher::finish() {
  return std::exchange(held_, {});
}

}  // namespace gossamer::tokenizer
