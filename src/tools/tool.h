#pragma once

#include <stop_token>
#include <string>

#include "harmony/message.h"

namespace gossamer::tools {

/// What a call came to. A failed call's output is the error, for the model to read.
struct ToolResult {
  std::string output;
  bool failed = false;
};

/// A tool that gossamer runs itself when the model calls it. Any thread may call it, several at a
/// time.
class Tool {
 public:
  virtual ~Tool() = default;

  /// How it is declared to the model. Its name is the first part of the recipients it answers to:
  /// "clock" answers to "clock" and "clock.now".
  virtual const harmony::ToolNamespace& declaration() const = 0;

  /// Runs a call. Total: whatever the model wrote gives a result. Returns soon after `stop` is
  /// requested.
  virtual ToolResult run(const harmony::Message& call, std::stop_token stop) const = 0;
};

}  // namespace gossamer::tools
