#include "base/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace gossamer {
namespace {

constexpr int kBarCells = 30;
constexpr std::int64_t kRedrawMs = 100;
// Work that ends sooner than this never shows a bar: flicker helps nobody.
constexpr std::int64_t kQuietMs = 200;

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch()
  )
      .count();
}

std::string with_unit(std::uint64_t value, const std::array<const char*, 5>& units) {
  if (value < 1000) return fmt::format("{}{}", value, units[0]);
  auto scaled = static_cast<double>(value);
  std::size_t unit = 0;
  while (scaled >= 999.995 && unit + 1 < units.size()) {
    scaled /= 1000.0;
    ++unit;
  }
  return fmt::format("{:.2f}{}", scaled, units[unit]);
}

}  // namespace

bool is_terminal(std::FILE* stream) {
  return ::isatty(::fileno(stream)) == 1;
}

std::string_view style_start(Style style, bool colour) {
  if (!colour) return "";
  switch (style) {
    case Style::kPlain:
      return "";
    case Style::kBold:
      return "\x1b[1m";
    case Style::kDim:
      return "\x1b[2m";
    case Style::kRed:
      return "\x1b[31m";
    case Style::kGreen:
      return "\x1b[32m";
    case Style::kYellow:
      return "\x1b[33m";
    case Style::kBlue:
      return "\x1b[34m";
    case Style::kMagenta:
      return "\x1b[35m";
    case Style::kCyan:
      return "\x1b[36m";
  }
  return "";
}

std::string_view style_end(bool colour) {
  return colour ? "\x1b[0m" : "";
}

std::string styled(std::string_view text, Style style, bool colour) {
  return fmt::format("{}{}{}", style_start(style, colour), text, style_end(colour));
}

std::string format_bytes(std::uint64_t bytes) {
  return with_unit(bytes, {" B", " kB", " MB", " GB", " TB"});
}

std::string format_count(std::uint64_t count) {
  return with_unit(count, {"", " k", " M", " B", " T"});
}

std::string format_grouped(std::uint64_t count) {
  std::string text = fmt::format("{}", count);
  for (std::size_t place = text.size(); place > 3;) text.insert(place -= 3, ",");
  return text;
}

Progress::Progress(std::string label, std::uint64_t total)
    : label_(std::move(label)),
      total_(std::max<std::uint64_t>(total, 1)),
      start_ms_(now_ms()),
      enabled_(is_terminal(stderr)) {}

void Progress::update(std::uint64_t done) {
  if (!enabled_) return;
  const std::int64_t now = now_ms();
  if (now - start_ms_ < kQuietMs || now - last_draw_ms_ < kRedrawMs) return;
  last_draw_ms_ = now;
  const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
  const int filled = static_cast<int>(share * kBarCells);
  std::string bar;
  for (int cell = 0; cell < kBarCells; ++cell) bar += cell < filled ? "█" : "░";
  fmt::print(stderr, "\r{} {} {:3.0f} %\x1b[K", label_, bar, share * 100);
  std::fflush(stderr);
  drawn_ = true;
}

Progress::~Progress() {
  if (drawn_) {
    fmt::print(stderr, "\r\x1b[K");
    std::fflush(stderr);
  }
}

}  // namespace gossamer
