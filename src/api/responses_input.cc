#include "api/responses_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace gossamer::api {
namespace {

bool is_declaring_role(std::string_view role) {
  return role == "system" || role == "developer";
}

/// What stands for what the model cannot see; empty for parts that are text.
std::string placeholder_of(std::string_view type, const Json& part) {
  if (type == "input_image" || type == "image_url" || type == "image") {
    return "[an image that this model cannot see]";
  }
  if (type == "input_audio") return "[audio that this model cannot hear]";
  if (type != "input_file" && type != "file") return {};
  const std::string name = text_member(part, "filename");
  return fmt::format("[a file that was not read{}{}]", name.empty() ? "" : ": ", name);
}

/// Reads the items of an input list.
class InputReader {
 public:
  InputReader(FirstError& error, ItemIds& ids, std::vector<std::string>& warnings)
      : error_(error), ids_(ids), warnings_(warnings) {}

  Items read(const Json& list, const std::string& path) {
    for (std::size_t i = 0; i < list.size() && !error_; ++i) {
      read_item(list[i], element_path(path, i));
    }
    return std::move(items_);
  }

 private:
  void read_item(const Json& item, const std::string& path) {
    const ObjectReader reader(item, path, error_);
    if (error_) return;
    const bool is_message = item.contains("role");
    const std::string type = reader.string_or("type", is_message ? "message" : "");
    if (type == "message") return read_message(reader);
    if (type == "reasoning") return read_reasoning(reader);
    if (type == "function_call") return read_call(reader, "fc", "arguments");
    if (type == "custom_tool_call") return read_call(reader, "ctc", "input");
    if (type == "function_call_output") return read_output(reader, "fco");
    if (type == "custom_tool_call_output") return read_output(reader, "ctco");
    if (type == "item_reference") return read_reference(reader);
    if (type == "mcp_call") return read_mcp_call(reader);
    if (type == "code_interpreter_call" || type == "web_search_call") {
      return read_server_call(reader, type);
    }
    if (type.empty() && item.size() == 1 && item.contains("id")) return read_reference(reader);
    if (type.empty()) return reader.fail_missing("type");
    warnings_.push_back(fmt::format("{}: items of type {} are ignored", path, type));
  }

  /// An item with what all of them have.
  Json begin(const ObjectReader& reader, std::string_view type, std::string_view id_prefix) {
    std::string id = reader.string_or("id", "");
    if (id.empty()) id = ids_.next(id_prefix);
    return {{"id", std::move(id)}, {"type", type}};
  }

  void add(Json item) {
    if (!error_) items_.push_back(std::move(item));
  }

  void read_message(const ObjectReader& reader) {
    constexpr std::array<std::string_view, 4> kRoles = {"user", "assistant", "system", "developer"};
    const std::string role = reader.string_or("role", "user");
    if (std::find(kRoles.begin(), kRoles.end(), role) == kRoles.end()) {
      reader.fail("role", "must be user, assistant, system or developer");
    }
    Json item = begin(reader, "message", "msg");
    item["role"] = role;
    item["status"] = reader.string_or("status", "completed");
    item["content"] = read_content(reader, "content", role == "assistant");
    if (const auto phase = reader.string("phase"); phase && role == "assistant") {
      item["phase"] = *phase;
    }
    add(std::move(item));
  }

  /// Message content as parts.
  Json read_content(const ObjectReader& reader, std::string_view key, bool is_output) {
    Json parts = Json::array();
    const Json* content = reader.find(key);
    if (content == nullptr) return parts;
    if (content->is_string()) {
      parts.push_back(text_part(content->get<std::string>(), is_output));
    } else if (content->is_array()) {
      for (std::size_t i = 0; i < content->size() && !error_; ++i) {
        parts.push_back(read_part((*content)[i], element_path(reader.path_of(key), i), is_output));
      }
    } else {
      reader.fail(key, "must be a string or an array of parts");
    }
    return parts;
  }

  static Json text_part(std::string text, bool is_output) {
    if (!is_output) return {{"type", "input_text"}, {"text", std::move(text)}};
    return {
        {"type", "output_text"},
        {"text", std::move(text)},
        {"annotations", Json::array()},
        {"logprobs", Json::array()}};
  }

  Json read_part(const Json& part, const std::string& path, bool is_output) {
    if (part.is_string()) return text_part(part.get<std::string>(), is_output);
    const ObjectReader reader(part, path, error_);
    if (error_) return nullptr;
    const std::string type = reader.string_or("type", "text");
    if (!placeholder_of(type, part).empty()) return read_attachment(reader, type, part);
    if (type == "refusal") {
      return {{"type", "refusal"}, {"refusal", reader.string_or("refusal", "")}};
    }
    if (reader.find("text") == nullptr) {
      warnings_.push_back(fmt::format("{}: a part of type {} is ignored", path, type));
    }
    return text_part(reader.string_or("text", ""), is_output);
  }

  /// Keeps what names the attachment, not its bytes: they would be stored, and never read.
  Json read_attachment(const ObjectReader& reader, const std::string& type, const Json& part) {
    warnings_.push_back(
        fmt::format("{}: the model reads text only; {} is not shown to it", reader.path(), type)
    );
    Json kept = {{"type", type}};
    for (const char* key : {"filename", "file_id", "detail"}) {
      const std::string text = text_member(part, key);
      if (!text.empty()) kept[key] = text;
    }
    return kept;
  }

  void read_reasoning(const ObjectReader& reader) {
    Json item = begin(reader, "reasoning", "rs");
    item["summary"] = Json::array();
    item["content"] = Json::array();
    const Json* content = reader.find("content");
    if (content != nullptr) {
      const std::string text = text_of_parts(*content);
      if (!text.empty()) item["content"].push_back({{"type", "reasoning_text"}, {"text", text}});
    }
    if (const auto sealed = reader.string("encrypted_content")) item["encrypted_content"] = *sealed;
    add(std::move(item));
  }

  void read_call(const ObjectReader& reader, std::string_view id_prefix, const char* text_key) {
    Json item = begin(reader, id_prefix == "fc" ? "function_call" : "custom_tool_call", id_prefix);
    item["call_id"] = reader.string_or("call_id", "");
    item["name"] = reader.string_or("name", "");
    if (item["name"].get_ref<const std::string&>().empty()) reader.fail_missing("name");
    if (const auto name_space = reader.string("namespace")) item["namespace"] = *name_space;
    const Json* text = reader.find(text_key);
    const bool is_json = text != nullptr && (text->is_object() || text->is_array());
    item[text_key] = is_json ? text->dump() : reader.string_or(text_key, "");
    item["status"] = reader.string_or("status", "completed");
    add(std::move(item));
  }

  void read_output(const ObjectReader& reader, std::string_view id_prefix) {
    const bool is_function = id_prefix == "fco";
    Json item =
        begin(reader, is_function ? "function_call_output" : "custom_tool_call_output", id_prefix);
    item["call_id"] = reader.string_or("call_id", "");
    if (const auto name = reader.string("name")) item["name"] = *name;
    const Json* output = reader.find("output");
    if (output == nullptr || output->is_string()) {
      item["output"] = output == nullptr ? "" : output->get<std::string>();
    } else if (output->is_array()) {
      item["output"] = read_content(reader, "output", false);
    } else {
      item["output"] = output->dump();
    }
    item["status"] = reader.string_or("status", "completed");
    add(std::move(item));
  }

  void read_reference(const ObjectReader& reader) {
    const std::string id = reader.string_or("id", "");
    if (id.empty()) return reader.fail_missing("id");
    add({{"id", id}, {"type", "item_reference"}});
  }

  void read_mcp_call(const ObjectReader& reader) {
    Json item = begin(reader, "mcp_call", "mcp");
    for (const char* key : {"server_label", "name", "arguments"}) {
      item[key] = reader.string_or(key, "");
    }
    item["output"] = reader.find("output") == nullptr ? Json() : *reader.find("output");
    item["error"] = reader.find("error") == nullptr ? Json() : *reader.find("error");
    item["status"] = reader.string_or("status", "completed");
    add(std::move(item));
  }

  void read_server_call(const ObjectReader& reader, const std::string& type) {
    const bool is_search = type == "web_search_call";
    Json item = begin(reader, type, is_search ? "ws" : "ci");
    item["status"] = reader.string_or("status", "completed");
    if (is_search) {
      const Json* action = reader.object("action");
      item["action"] = action == nullptr ? Json{{"type", "search"}} : *action;
    } else {
      item["code"] = reader.string_or("code", "");
      item["container_id"] = reader.string_or("container_id", "");
      const Json* outputs = reader.array("outputs");
      item["outputs"] = outputs == nullptr ? Json() : *outputs;
    }
    add(std::move(item));
  }

  FirstError& error_;
  ItemIds& ids_;
  std::vector<std::string>& warnings_;
  Items items_;
};

bool is_role(const Json& item, std::string_view role) {
  return text_member(item, "type") == "message" && text_member(item, "role") == role;
}

}  // namespace

std::string text_member(const Json& object, std::string_view key) {
  if (!object.is_object()) return {};
  const auto member = object.find(key);
  if (member == object.end() || !member->is_string()) return {};
  return member->get<std::string>();
}

std::string text_of_parts(const Json& content) {
  if (content.is_string()) return content.get<std::string>();
  std::string text;
  if (!content.is_array()) return text;
  for (const Json& part : content) {
    std::string piece = part.is_string() ? part.get<std::string>()
                                         : placeholder_of(text_member(part, "type"), part);
    if (piece.empty()) piece = text_member(part, "text");
    if (piece.empty()) piece = text_member(part, "refusal");
    if (piece.empty()) continue;
    if (!text.empty()) text += '\n';
    text += piece;
  }
  return text;
}

Items read_input(const ObjectReader& request, ItemIds& ids, std::vector<std::string>& warnings) {
  const Json* input = request.find("input");
  if (input == nullptr) {
    request.fail_missing("input");
    return {};
  }
  InputReader reader(request.error(), ids, warnings);
  if (input->is_array()) return reader.read(*input, request.path_of("input"));
  if (input->is_string()) {
    return reader.read(Json::array({{{"role", "user"}, {"content", *input}}}), "input");
  }
  request.fail("input", "must be a string or an array of items");
  return {};
}

void resolve_references(
    Items& items,
    const std::function<std::optional<Json>(const std::string& id)>& find,
    std::vector<std::string>& warnings
) {
  Items resolved;
  for (Json& item : items) {
    if (text_member(item, "type") != "item_reference") {
      resolved.push_back(std::move(item));
      continue;
    }
    const std::string id = text_member(item, "id");
    if (auto found = find(id)) {
      resolved.push_back(*std::move(found));
    } else {
      warnings.push_back("no stored item has the id " + id + "; the reference is ignored");
    }
  }
  items = std::move(resolved);
}

bool drop_oldest_turn(Items& items) {
  const auto begin = std::find_if(items.begin(), items.end(), [](const Json& item) {
    return !is_role(item, "system") && !is_role(item, "developer");
  });
  if (begin == items.end()) return false;
  const auto next_user =
      std::find_if(begin + 1, items.end(), [](const Json& item) { return is_role(item, "user"); });
  if (next_user == items.end()) return false;
  Items kept(items.begin(), begin);
  for (auto item = begin; item != next_user; ++item) {
    if (is_declaring_role(text_member(*item, "role"))) kept.push_back(*item);
  }
  kept.insert(kept.end(), next_user, items.end());
  items = std::move(kept);
  return true;
}

}  // namespace gossamer::api
