#include "server/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace gossamer::server {
namespace {

bool is_plain(char c) {
  return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
}

void append_value(std::string& line, std::string_view value) {
  if (!value.empty() && std::all_of(value.begin(), value.end(), is_plain)) {
    line += value;
    return;
  }
  line += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) {
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      line += c;
    }
  }
  line += '"';
}

}  // namespace

std::string log_line(std::string_view event, Log::Fields fields) {
  std::string line(event);
  for (const auto& [key, value] : fields) {
    line += ' ';
    line += key;
    line += '=';
    append_value(line, value);
  }
  return line;
}

Log::Log(Prompts prompts)
    : logger_(std::make_shared<spdlog::logger>(
          "gossamer", std::make_shared<spdlog::sinks::stderr_sink_mt>()
      )),
      prompts_(prompts) {
  logger_->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  logger_->flush_on(spdlog::level::info);
}

void Log::info(std::string_view event, Fields fields) const {
  logger_->info("{}", log_line(event, fields));
}

void Log::warn(std::string_view event, Fields fields) const {
  logger_->warn("{}", log_line(event, fields));
}

void Log::error(std::string_view event, Fields fields) const {
  logger_->error("{}", log_line(event, fields));
}

}  // namespace gossamer::server
