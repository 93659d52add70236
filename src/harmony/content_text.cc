#include "harmony/content_text.h"

#include <fmt/format.h>

#include <vector>

#include "harmony/typescript.h"

namespace gossamer::harmony {

namespace {

/// Parts separated by a blank line.
std::string join_sections(const std::vector<std::string>& sections) {
  return fmt::format("{}", fmt::join(sections, "\n\n"));
}

/// Each line of a text behind a prefix and before a newline; lines end in \n or \r\n.
std::string prefix_lines(std::string_view text, std::string_view prefix) {
  std::string result;
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (newline != std::string_view::npos && line.ends_with('\r')) line.remove_suffix(1);
    result += fmt::format("{}{}\n", prefix, line);
  }
  return result;
}

Result<std::string> function_text(const ToolFunction& function) {
  std::string text = prefix_lines(function.description, "// ");
  if (!function.parameters) return text + fmt::format("type {} = () => any;\n\n", function.name);
  const auto type = typescript_of(*function.parameters);
  if (!type.ok()) {
    return make_error(
        type.error().code, "parameters of {}: {}", function.name, type.error().message
    );
  }
  return text + fmt::format("type {} = (_: {}) => any;\n\n", function.name, *type);
}

Result<std::string> namespace_text(const ToolNamespace& tool) {
  std::string text = fmt::format("## {}\n\n", tool.name);
  const bool has_functions = !tool.functions.empty();
  if (tool.description) text += prefix_lines(*tool.description, has_functions ? "// " : "");
  if (has_functions) {
    text += fmt::format("namespace {} {{\n\n", tool.name);
    for (const ToolFunction& function : tool.functions) {
      GOSSAMER_ASSIGN_OR_RETURN(const std::string function_lines, function_text(function));
      text += function_lines;
    }
    text += fmt::format("}} // namespace {}\n", tool.name);
  }
  text.pop_back();  // lines are joined by newlines, not ended by them
  return text;
}

/// Adds the "# Tools" section; nothing when there are no tools.
Status add_tools(const std::optional<Tools>& tools, std::vector<std::string>& sections) {
  if (!tools || tools->empty()) return {};
  sections.emplace_back("# Tools");
  for (const auto& [key, tool] : *tools) {
    GOSSAMER_ASSIGN_OR_RETURN(std::string text, namespace_text(tool));
    sections.push_back(std::move(text));
  }
  return {};
}

std::string channels_text(const ChannelConfig& config, FunctionTools functions) {
  std::string text = fmt::format("# Valid channels: {}.", fmt::join(config.valid_channels, ", "));
  if (config.channel_required) text += " Channel must be included for every message.";
  if (functions == FunctionTools::kDeclared) {
    text += "\nCalls to these tools must go to the commentary channel: 'functions'.";
  }
  return text;
}

void add_response_formats(
    const std::vector<ResponseFormat>& formats, std::vector<std::string>& sections
) {
  if (formats.empty()) return;
  sections.emplace_back("# Response Formats");
  for (const ResponseFormat& format : formats) {
    sections.push_back("## " + format.name);
    const std::string description =
        format.description ? prefix_lines(*format.description, "// ") : "";
    sections.push_back(description + format.schema);
  }
}

}  // namespace

Result<std::string> system_text(const SystemContent& content, FunctionTools functions) {
  std::vector<std::string> lines;
  if (content.model_identity) lines.push_back(*content.model_identity);
  if (content.knowledge_cutoff) lines.push_back("Knowledge cutoff: " + *content.knowledge_cutoff);
  if (content.conversation_start_date) {
    lines.push_back("Current date: " + *content.conversation_start_date);
  }
  std::vector<std::string> sections;
  if (!lines.empty()) sections.push_back(fmt::format("{}", fmt::join(lines, "\n")));
  if (content.reasoning_effort) {
    sections.push_back(fmt::format("Reasoning: {}", effort_name(*content.reasoning_effort)));
  }
  GOSSAMER_RETURN_IF_ERROR(add_tools(content.tools, sections));
  if (content.channel_config && !content.channel_config->valid_channels.empty()) {
    sections.push_back(channels_text(*content.channel_config, functions));
  }
  return join_sections(sections);
}

Result<std::string> developer_text(const DeveloperContent& content) {
  std::vector<std::string> sections;
  if (content.instructions) {
    sections.emplace_back("# Instructions");
    sections.push_back(*content.instructions);
  }
  GOSSAMER_RETURN_IF_ERROR(add_tools(content.tools, sections));
  add_response_formats(content.response_formats, sections);
  return join_sections(sections);
}

}  // namespace gossamer::harmony
