#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/error.h"
#include "harmony/message.h"

namespace gossamer::api {

enum class ToolKind {
  kFunction,  ///< takes JSON arguments
  kCustom,    ///< takes free text
};

/// What a client calls one of its tools.
struct ToolName {
  ToolKind kind = ToolKind::kFunction;
  std::string name;
  std::string name_space;  ///< empty for tools that are in none

  bool operator==(const ToolName&) const = default;
};

/// A tool that the client declares and runs.
struct ClientTool {
  ToolName name;
  std::string description;
  std::optional<std::string> parameters;  ///< of functions: JSON Schema as JSON text
  std::string grammar;  ///< of custom tools: what the text must match, for the model
};

/// The tools of one request: the client's names on one side, Harmony's on the other. A header holds
/// words of letters, digits, '_' and '-'; whatever else a name has is written as '_', and names
/// that become equal are told apart by a number. The mapping depends on nothing but the tools and
/// their order, so the next turn's prompt begins with the same tokens.
class ToolRegistry {
 public:
  /// Adds a tool. False, and nothing is added, when there is one of the same name.
  bool add(ClientTool tool);

  /// Says what a namespace is about.
  void describe(const std::string& name_space, std::string description);

  /// Keeps names free for the tools of the server: no namespace of the client is declared as these.
  /// Call before adding.
  void reserve(std::string_view harmony_namespace);

  bool empty() const { return entries_.empty(); }

  /// As the developer message declares them.
  harmony::Tools declarations() const;

  /// Every recipient, e.g. "functions.get_weather", in the order of the tools.
  std::vector<std::string> recipients() const;

  /// What the model called: also without "functions." before it. A recipient that was never
  /// declared is a function of that name, for the client to refuse.
  ToolName name_of(std::string_view recipient) const;

  /// What the model calls a tool. One that is not declared, from an earlier turn, gets the
  /// recipient it would have had. Kinds are not compared.
  std::string recipient_of(const ToolName& name) const;

  /// Whether a tool of this name, and kind, is declared.
  bool has(const ToolName& name) const;

 private:
  struct Entry {
    ClientTool tool;
    std::string harmony_namespace;
    std::string harmony_name;

    std::string recipient() const { return harmony_namespace + "." + harmony_name; }
  };

  const Entry* find(const ToolName& name) const;
  std::string place_namespace(const std::string& name_space);

  std::vector<Entry> entries_;
  std::map<std::string, std::string> namespaces_;    // the client's name -> Harmony's
  std::map<std::string, std::string> descriptions_;  // by Harmony's name
  std::vector<std::string> reserved_ = {"functions", "browser", "python", "assistant"};
};

/// A name as a header can hold it.
std::string header_word(std::string_view name);

}  // namespace gossamer::api
