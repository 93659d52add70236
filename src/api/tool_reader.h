#pragma once

#include <string>
#include <vector>

#include "api/json_reader.h"
#include "api/tool_registry.h"
#include "chat/turn_request.h"

namespace gossamer::api {

/// Adds the tools that a request declares to `registry`. Takes both APIs' forms: {"type":
/// "function", "name", …} and {"type": "function", "function": {"name", …}}; likewise "custom"
/// (free text, maybe with a grammar) and "namespace" (tools under one name). web_search,
/// browser_search and code_interpreter are errors, unless they say "external_web_access": false,
/// which asks for nothing. Types that nobody here knows are left out. `warnings` gets what was left
/// out.
void read_tools(
    const ObjectReader& request, ToolRegistry& registry, std::vector<std::string>& warnings
);

/// What the model may call.
struct ToolSelection {
  chat::ToolChoice choice = chat::ToolChoice::kAuto;
  std::vector<std::string> recipients;  ///< of the client's tools
  bool allows_server_tools = true;      ///< those that the server adds
};

/// Reads "tool_choice": "auto", "none", "required", or an object that names a tool or allows some,
/// in both APIs' forms. Errors: a tool that is not declared, a type that nobody here knows,
/// "required" without tools.
ToolSelection read_tool_choice(const ObjectReader& request, const ToolRegistry& registry);

}  // namespace gossamer::api
