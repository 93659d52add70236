#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/sampling_params.h"
#include "harmony/message.h"
#include "tools/tool.h"

namespace gossamer::chat {

/// Whether the model may, must or must not call the functions and tools of a turn.
enum class ToolChoice {
  kAuto,      ///< as it likes
  kNone,      ///< not at all; the caller has also left them out of the conversation
  kRequired,  ///< it must call one of `functions` or `tools`
};

/// What one turn of the model is to be, whichever way it was asked for: by an API or a terminal.
struct TurnRequest {
  /// Everything before the turn, declarations of functions and tools included.
  harmony::Conversation conversation;

  /// Recipients that the caller runs, e.g. "functions.get_weather": those of them that may be
  /// called in this turn.
  std::vector<std::string> functions;

  /// Tools that gossamer runs.
  std::vector<std::shared_ptr<const tools::Tool>> tools;

  ToolChoice tool_choice = ToolChoice::kAuto;
  engine::SamplingParams sampling;
  std::optional<int> max_tokens;  ///< over all generations of the turn
  std::vector<std::string> stop;  ///< texts that end the turn when they come up in the answer
  int max_tool_calls = 64;        ///< of `tools`; from then on they cannot be called
  std::string user;               ///< see engine::Request::user
};

}  // namespace gossamer::chat
