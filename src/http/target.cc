#include "http/target.h"

namespace gossamer::http {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

enum class Plus { kIsPlus, kIsSpace };

std::optional<std::string> decode(std::string_view text, Plus plus) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+' && plus == Plus::kIsSpace) c = ' ';
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return std::nullopt;
    result += c;
  }
  return result;
}

bool parse_query(std::string_view text, std::map<std::string, std::string>& query) {
  while (!text.empty()) {
    const auto end = text.find('&');
    const auto pair = text.substr(0, end);
    const auto equals = pair.find('=');
    auto name = decode(pair.substr(0, equals), Plus::kIsSpace);
    auto value = decode(
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1),
        Plus::kIsSpace
    );
    if (!name || !value) return false;
    if (!pair.empty()) query.insert_or_assign(std::move(*name), std::move(*value));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return true;
}

// "http://host/path" as proxies send it: the path.
std::string_view without_origin(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!text.starts_with(scheme)) continue;
    const auto slash = text.find('/', scheme.size());
    return slash == std::string_view::npos ? "/" : text.substr(slash);
  }
  return text;
}

}  // namespace

std::optional<Target> parse_target(std::string_view text) {
  if (text == "*") return Target{.path = "*"};
  text = without_origin(text);
  if (!text.starts_with('/')) return std::nullopt;
  text = text.substr(0, text.find('#'));
  const auto question = text.find('?');
  auto path = decode(text.substr(0, question), Plus::kIsPlus);
  if (!path) return std::nullopt;
  Target target{.path = std::move(*path)};
  if (question != std::string_view::npos && !parse_query(text.substr(question + 1), target.query)) {
    return std::nullopt;
  }
  return target;
}

}  // namespace gossamer::http
