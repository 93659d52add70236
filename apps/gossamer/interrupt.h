#pragma once

namespace gossamer::apps {

/// While it lives, Ctrl-C asks for a clean end instead of killing the program; a second Ctrl-C
/// kills. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// True once Ctrl-C was pressed.
  static bool requested();
};

/// The exit status of a program that Ctrl-C ended.
inline constexpr int kInterruptedStatus = 130;

}  // namespace gossamer::apps
