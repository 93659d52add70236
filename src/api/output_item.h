#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "api/error.h"

namespace gossamer::api {

enum class OutputKind {
  kReasoning,
  kMessage,
  kFunctionCall,
  kCustomToolCall,
  kMcpCall,              ///< a call of a tool of this server
  kWebSearchCall,        ///< … that is the browser
  kCodeInterpreterCall,  ///< … that is Python
};

/// An item of a response's output, and how far it is. Its JSON and its events are in the order, and
/// with the fields, of OpenAI's API.
struct OutputItem {
  OutputKind kind = OutputKind::kMessage;
  std::string id;
  std::size_t index = 0;               ///< in the output
  std::string status = "in_progress";  ///< or "completed", "incomplete", "failed"
  std::string text;                    ///< of messages and reasoning; arguments, input or code
  std::string phase;                   ///< of messages: "commentary" or "final_answer"
  std::string call_id;                 ///< of the client's calls
  std::string name;                    ///< of calls
  std::string name_space;              ///< of the client's calls, may be empty; server_label
  std::string result;                  ///< of the server's calls
  std::string sealed;                  ///< of reasoning: encrypted_content; may be empty
  Json logprobs = Json::array();       ///< of messages
};

/// What begins the ids of a kind: "msg", …
std::string_view id_prefix(OutputKind kind);

/// The kind of item that shows a call of a tool of the server.
OutputKind kind_of_server_call(std::string_view recipient);

/// The item as it is now.
Json item_json(const OutputItem& item);

/// The item as output_item.added shows it: nothing in it yet.
Json added_item_json(const OutputItem& item);

/// The only part of a message or reasoning, with this text.
Json part_json(const OutputItem& item, std::string_view text, const Json& logprobs);

}  // namespace gossamer::api
