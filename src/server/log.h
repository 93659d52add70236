#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace spdlog {
class logger;
}  // namespace spdlog

namespace gossamer::server {

/// Lines of `key=value` on stderr, after the time and the level. Any thread. What users wrote goes
/// in only where `prompts()` is true.
class Log {
 public:
  using Fields = std::initializer_list<std::pair<std::string_view, std::string>>;

  enum class Prompts { kLeftOut, kLogged };

  explicit Log(Prompts prompts);

  void info(std::string_view event, Fields fields) const;
  void warn(std::string_view event, Fields fields) const;
  void error(std::string_view event, Fields fields) const;

  bool prompts() const { return prompts_ == Prompts::kLogged; }

 private:
  std::shared_ptr<spdlog::logger> logger_;
  Prompts prompts_;
};

/// `event key=value key="quoted where it must be"`: one line, whatever the values hold.
std::string log_line(std::string_view event, Log::Fields fields);

}  // namespace gossamer::server
