#include "api/tool_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace gossamer::api {
namespace {

constexpr std::size_t kMaxTools = 1024;
constexpr std::size_t kMaxNameBytes = 256;

/// Tools that OpenAI's server runs itself.
bool is_server_tool(std::string_view type) {
  constexpr std::array<std::string_view, 3> kPrefixes = {
      "web_search", "browser_search", "code_interpreter"};
  return std::any_of(kPrefixes.begin(), kPrefixes.end(), [&](std::string_view prefix) {
    return type.starts_with(prefix);
  });
}

/// Where a tool of a type says what it is: in itself, or in a member named as its type.
struct ToolBody {
  const Json& json;
  std::string path;
};

ToolBody body_of(const Json& tool, std::string_view type, const std::string& path) {
  const auto nested = tool.find(type);
  if (nested == tool.end() || !nested->is_object()) return {tool, path};
  return {*nested, member_path(path, type)};
}

std::string read_name(const ObjectReader& reader) {
  std::string name = reader.string_or("name", "");
  if (name.empty()) reader.fail_missing("name");
  if (name.size() > kMaxNameBytes) reader.fail("name", "is longer than 256 bytes");
  return name;
}

/// Tells the model what a custom tool's text must look like.
std::string grammar_text(const ObjectReader& tool) {
  const Json* format = tool.object("format");
  if (format == nullptr) return {};
  const ToolBody body = body_of(*format, "grammar", tool.path_of("format"));
  const ObjectReader reader(body.json, body.path, tool.error());
  const std::string definition = reader.string_or("definition", "");
  if (definition.empty()) return {};
  return fmt::format(
      "`input` must match this {} grammar:\n{}", reader.string_or("syntax", "lark"), definition
  );
}

/// Reads a list of tools into a registry.
class ToolsReader {
 public:
  ToolsReader(FirstError& error, ToolRegistry& registry, std::vector<std::string>& warnings)
      : error_(error), registry_(registry), warnings_(warnings) {}

  void read_list(const Json& tools, const std::string& path, const std::string& name_space) {
    for (std::size_t i = 0; i < tools.size() && !error_; ++i) {
      read_tool(tools[i], element_path(path, i), name_space);
    }
  }

 private:
  void read_tool(const Json& tool, const std::string& path, const std::string& name_space) {
    const ObjectReader reader(tool, path, error_);
    if (error_) return;
    const std::string type = reader.string_or("type", "function");
    if (type == "function" || type == "custom") {
      add(body_of(tool, type, path), type, name_space);
    } else if (type == "namespace" && name_space.empty()) {
      read_namespace(reader);
    } else if (is_server_tool(type)) {
      refuse_server_tool(reader, type);
    } else {
      warnings_.push_back(fmt::format("{}: tools of type {} are ignored", path, type));
    }
  }

  void add(const ToolBody& body, std::string_view type, const std::string& name_space) {
    const ObjectReader reader(body.json, body.path, error_);
    ClientTool tool;
    tool.name.name = read_name(reader);
    tool.name.name_space = name_space;
    tool.description = reader.string_or("description", "");
    if (type == "custom") {
      tool.name.kind = ToolKind::kCustom;
      tool.grammar = grammar_text(reader);
    } else if (const Json* parameters = reader.object("parameters")) {
      tool.parameters = parameters->dump();
    }
    if (++num_tools_ > kMaxTools) reader.fail("name", "is one of more than 1024 tools");
    if (error_ || registry_.add(std::move(tool))) return;
    warnings_.push_back(body.path + ": a tool of this name came before, and counts");
  }

  void read_namespace(const ObjectReader& reader) {
    const std::string name = read_name(reader);
    if (error_) return;
    if (auto description = reader.string("description")) {
      registry_.describe(name, *std::move(description));
    }
    const Json* tools = reader.array("tools");
    if (tools != nullptr) read_list(*tools, reader.path_of("tools"), name);
  }

  void refuse_server_tool(const ObjectReader& reader, std::string_view type) {
    if (reader.boolean("external_web_access") == false) {
      warnings_.push_back(fmt::format("{}: {} without web access is ignored", reader.path(), type));
      return;
    }
    reader.fail(
        "type",
        fmt::format(
            "{} is not available on this server yet; leave it out of tools (in Codex's "
            "config.toml: "
            "web_search = \"disabled\")",
            type
        )
    );
  }

  FirstError& error_;
  ToolRegistry& registry_;
  std::vector<std::string>& warnings_;
  std::size_t num_tools_ = 0;
};

/// Reads tool_choice against what is declared.
class ChoiceReader {
 public:
  ChoiceReader(const ObjectReader& request, const ToolRegistry& registry)
      : request_(request), registry_(registry) {}

  ToolSelection read() {
    const Json* choice = request_.find("tool_choice");
    if (choice == nullptr) return all(chat::ToolChoice::kAuto);
    if (choice->is_string()) return read_word(choice->get<std::string>());
    const ObjectReader reader(*choice, request_.path_of("tool_choice"), request_.error());
    const std::string type = reader.string_or("type", "");
    if (type == "allowed_tools") return read_allowed(*choice);
    if (type == "function" || type == "custom") {
      return {chat::ToolChoice::kRequired, {read_recipient(*choice, reader.path())}, false};
    }
    reader.fail(
        "type", fmt::format("is '{}'; this server knows function, custom and allowed_tools", type)
    );
    return {};
  }

 private:
  ToolSelection all(chat::ToolChoice choice) const {
    return {choice, registry_.recipients(), true};
  }

  ToolSelection read_word(std::string_view word) {
    if (word == "auto") return all(chat::ToolChoice::kAuto);
    if (word == "none") return {chat::ToolChoice::kNone, {}, false};
    if (word != "required") {
      request_.fail("tool_choice", "must be auto, none, required or an object that names a tool");
    } else if (registry_.empty()) {
      request_.fail("tool_choice", "is required, but no function or custom tool is declared");
    }
    return all(chat::ToolChoice::kRequired);
  }

  std::string read_recipient(const Json& tool, const std::string& path) {
    const ObjectReader outer(tool, path, request_.error());
    const std::string type = outer.string_or("type", "function");
    if (request_.error()) return {};
    const ToolBody body = body_of(tool, type, path);
    const ObjectReader reader(body.json, body.path, request_.error());
    const ToolName name{
        .kind = type == "custom" ? ToolKind::kCustom : ToolKind::kFunction,
        .name = read_name(reader),
        .name_space = reader.string_or("namespace", "")};
    if (!registry_.has(name)) reader.fail("name", "names a tool that is not declared in tools");
    return registry_.recipient_of(name);
  }

  ToolSelection read_allowed(const Json& choice) {
    const ToolBody body = body_of(choice, "allowed_tools", request_.path_of("tool_choice"));
    const ObjectReader reader(body.json, body.path, request_.error());
    const std::string mode = reader.string_or("mode", "auto");
    if (mode != "auto" && mode != "required") reader.fail("mode", "must be auto or required");
    const bool is_required = mode == "required";
    ToolSelection selection{
        is_required ? chat::ToolChoice::kRequired : chat::ToolChoice::kAuto, {}, false};
    const Json* tools = reader.array("tools");
    for (std::size_t i = 0; tools != nullptr && i < tools->size() && !request_.error(); ++i) {
      selection.recipients.push_back(
          read_recipient((*tools)[i], element_path(reader.path_of("tools"), i))
      );
    }
    if (is_required && selection.recipients.empty()) reader.fail("tools", "must name a tool");
    return selection;
  }

  const ObjectReader& request_;
  const ToolRegistry& registry_;
};

}  // namespace

void read_tools(
    const ObjectReader& request, ToolRegistry& registry, std::vector<std::string>& warnings
) {
  const Json* tools = request.array("tools");
  if (tools == nullptr) return;
  ToolsReader(request.error(), registry, warnings).read_list(*tools, request.path_of("tools"), "");
}

ToolSelection read_tool_choice(const ObjectReader& request, const ToolRegistry& registry) {
  return ChoiceReader(request, registry).read();
}

}  // namespace gossamer::api
