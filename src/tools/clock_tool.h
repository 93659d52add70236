#pragma once

#include <chrono>
#include <functional>

#include "harmony/message.h"
#include "tools/tool.h"

namespace gossamer::tools {

/// "clock", with one function: now({"timezone": "Europe/Paris"}) says what time it is, as JSON of
/// date, time, offset and weekday. The system's time zone database knows the zones; without it only
/// UTC is known.
class ClockTool final : public Tool {
 public:
  using Now = std::function<std::chrono::system_clock::time_point()>;

  /// Asks `now`, from any thread, for the time.
  explicit ClockTool(Now now = std::chrono::system_clock::now);

  const harmony::ToolNamespace& declaration() const override { return declaration_; }

  /// What is wrong with a call (not JSON, an unknown field or zone) is told to the model.
  ToolResult run(const harmony::Message& call, std::stop_token stop) const override;

 private:
  harmony::ToolNamespace declaration_;
  Now now_;
};

}  // namespace gossamer::tools
