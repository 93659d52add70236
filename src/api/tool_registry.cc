#include "api/tool_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace gossamer::api {
namespace {

constexpr std::string_view kFunctions = "functions";
constexpr std::string_view kCustomParameters =
    R"({"type":"object","properties":{"input":{"type":"string"}},"required":["input"]})";

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

/// The word, with a number after it if it is taken.
template <class IsTaken>
std::string free_word(const std::string& word, const IsTaken& is_taken) {
  if (!is_taken(word)) return word;
  for (int i = 2;; ++i) {
    std::string numbered = fmt::format("{}_{}", word, i);
    if (!is_taken(numbered)) return numbered;
  }
}

std::string description_of(const ClientTool& tool) {
  if (tool.grammar.empty()) return tool.description;
  return fmt::format(
      "{}{}{}", tool.description, tool.description.empty() ? "" : "\n", tool.grammar
  );
}

}  // namespace

std::string header_word(std::string_view name) {
  std::string word;
  bool was_other = false;
  for (const char c : name) {
    const bool is_other = !is_word_character(c);
    if (!is_other) word += c;
    if (is_other && !was_other) word += '_';
    was_other = is_other;
  }
  return word.empty() ? "_" : word;
}

std::string ToolRegistry::place_namespace(const std::string& name_space) {
  if (name_space.empty()) return std::string(kFunctions);
  const auto known = namespaces_.find(name_space);
  if (known != namespaces_.end()) return known->second;
  std::string word = free_word(header_word(name_space), [&](const std::string& candidate) {
    const bool is_reserved =
        std::find(reserved_.begin(), reserved_.end(), candidate) != reserved_.end();
    return is_reserved || std::any_of(namespaces_.begin(), namespaces_.end(), [&](const auto& n) {
             return n.second == candidate;
           });
  });
  namespaces_.emplace(name_space, word);
  return word;
}

bool ToolRegistry::add(ClientTool tool) {
  const auto has_name = [&](const Entry& entry) {
    return entry.tool.name.name == tool.name.name &&
           entry.tool.name.name_space == tool.name.name_space;
  };
  if (std::any_of(entries_.begin(), entries_.end(), has_name)) return false;
  Entry entry{.tool = std::move(tool), .harmony_namespace = {}, .harmony_name = {}};
  entry.harmony_namespace = place_namespace(entry.tool.name.name_space);
  entry.harmony_name = free_word(header_word(entry.tool.name.name), [&](const std::string& word) {
    return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& other) {
      return other.harmony_namespace == entry.harmony_namespace && other.harmony_name == word;
    });
  });
  entries_.push_back(std::move(entry));
  return true;
}

void ToolRegistry::describe(const std::string& name_space, std::string description) {
  descriptions_[place_namespace(name_space)] = std::move(description);
}

void ToolRegistry::reserve(std::string_view harmony_namespace) {
  reserved_.emplace_back(harmony_namespace);
}

harmony::Tools ToolRegistry::declarations() const {
  harmony::Tools tools;
  for (const Entry& entry : entries_) {
    harmony::ToolNamespace& name_space = tools[entry.harmony_namespace];
    name_space.name = entry.harmony_namespace;
    const auto description = descriptions_.find(entry.harmony_namespace);
    if (description != descriptions_.end()) name_space.description = description->second;
    const bool is_custom = entry.tool.name.kind == ToolKind::kCustom;
    name_space.functions.push_back(
        {.name = entry.harmony_name,
         .description = description_of(entry.tool),
         .parameters = is_custom ? std::string(kCustomParameters) : entry.tool.parameters}
    );
  }
  return tools;
}

std::vector<std::string> ToolRegistry::recipients() const {
  std::vector<std::string> recipients;
  recipients.reserve(entries_.size());
  for (const Entry& entry : entries_) recipients.push_back(entry.recipient());
  return recipients;
}

ToolName ToolRegistry::name_of(std::string_view recipient) const {
  for (const Entry& entry : entries_) {
    if (entry.recipient() == recipient) return entry.tool.name;
  }
  for (const Entry& entry : entries_) {
    if (entry.harmony_name == recipient && entry.harmony_namespace == kFunctions) {
      return entry.tool.name;
    }
  }
  const std::string prefix = std::string(kFunctions) + ".";
  if (recipient.starts_with(prefix)) recipient.remove_prefix(prefix.size());
  return {.kind = ToolKind::kFunction, .name = std::string(recipient), .name_space = {}};
}

const ToolRegistry::Entry* ToolRegistry::find(const ToolName& name) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.tool.name.name == name.name && entry.tool.name.name_space == name.name_space;
  });
  return found == entries_.end() ? nullptr : &*found;
}

std::string ToolRegistry::recipient_of(const ToolName& name) const {
  if (const Entry* entry = find(name)) return entry->recipient();
  const auto known = namespaces_.find(name.name_space);
  std::string name_space = header_word(name.name_space);
  if (name.name_space.empty()) name_space = kFunctions;
  if (known != namespaces_.end()) name_space = known->second;
  return name_space + "." + header_word(name.name);
}

bool ToolRegistry::has(const ToolName& name) const {
  const Entry* entry = find(name);
  return entry != nullptr && entry->tool.name.kind == name.kind;
}

}  // namespace gossamer::api
