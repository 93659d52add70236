#pragma once

namespace gossamer {

/// Prints the broken invariant and its place to stderr, and aborts. Called by GOSSAMER_CHECK.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace gossamer

/// Aborts when a condition that only a bug of ours can break does not hold. On in every build.
#define GOSSAMER_CHECK(condition) \
  ((condition) ? void(0) : ::gossamer::check_failed(#condition, __FILE__, __LINE__))
