#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace gossamer {

/// True when the stream is a terminal, where colour and progress lines make sense.
bool is_terminal(std::FILE* stream);

/// Text styles for terminals.
enum class Style { kPlain, kBold, kDim, kRed, kGreen, kYellow, kBlue, kMagenta, kCyan };

/// The escape sequence that switches to a style, or "" when colour is off.
std::string_view style_start(Style style, bool colour);

/// The escape sequence that ends any style, or "" when colour is off.
std::string_view style_end(bool colour);

/// `text` in a style, ended again; just the text when colour is off.
std::string styled(std::string_view text, Style style, bool colour);

/// Bytes for people: "13.76 GB", "512 B". Decimal units, as disks and models are sold.
std::string format_bytes(std::uint64_t bytes);

/// A count for people: "20.91 B", "3.61 M", "512".
std::string format_count(std::uint64_t count);

/// All digits of a count, in threes: "1,713,024".
std::string format_grouped(std::uint64_t count);

/// A progress line on stderr while long work runs: silent unless stderr is a terminal, redrawn at
/// most ten times a second, and erased at the end. One thread at a time.
class Progress {
 public:
  /// label: what is being done, e.g. "loading weights". total: in the unit of `update`.
  Progress(std::string label, std::uint64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Work done so far, out of total.
  void update(std::uint64_t done);

 private:
  std::string label_;
  std::uint64_t total_;
  std::int64_t last_draw_ms_ = -1000;
  std::int64_t start_ms_;
  bool enabled_;
  bool drawn_ = false;
};

}  // namespace gossamer
