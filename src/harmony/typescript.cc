#include "harmony/typescript.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "harmony/compact_json.h"

namespace gossamer::harmony {

namespace {

std::string type_of(const Json& schema, const std::string& indent);

/// A member of an object, or null.
const Json* member(const Json& schema, const char* key) {
  if (!schema.is_object()) return nullptr;
  const auto found = schema.find(key);
  return found == schema.end() ? nullptr : &*found;
}

const Json* array_member(const Json& schema, const char* key) {
  const Json* value = member(schema, key);
  return value != nullptr && value->is_array() ? value : nullptr;
}

std::optional<std::string> string_member(const Json& schema, const char* key) {
  const Json* value = member(schema, key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return value->get<std::string>();
}

bool is_enum(const Json& schema) {
  const Json* values = array_member(schema, "enum");
  return values != nullptr && !values->empty();
}

/// " | null" when the schema is nullable and its type does not say so.
std::string_view nullable_suffix(const Json& schema, const std::string& type) {
  const Json* nullable = member(schema, "nullable");
  const bool is_nullable = nullable != nullptr && *nullable == true;
  return is_nullable && type.find("null") == std::string::npos ? " | null" : "";
}

/// How the default of an enum is written: a union of the top level quotes it, a property does not.
enum class EnumDefault { kQuoted, kBare };

/// "default: X", when the schema has a default.
std::optional<std::string> default_comment(const Json& schema, EnumDefault style) {
  const Json* value = member(schema, "default");
  if (value == nullptr) return std::nullopt;
  if (value->is_string() && !is_enum(schema)) {
    return fmt::format("default: \"{}\"", value->get<std::string>());
  }
  if (value->is_string() && style == EnumDefault::kBare) {
    return fmt::format("default: {}", value->get<std::string>());
  }
  return fmt::format("default: {}", compact_json(*value));
}

/// " // a b" of the comments that are there.
std::string trailing_comment(
    const std::optional<std::string>& first, const std::optional<std::string>& second
) {
  std::string text;
  if (first) text += " " + *first;
  if (second) text += " " + *second;
  return text.empty() ? "" : fmt::format(" //{}", text);
}

/// One line of a oneOf, without its newline.
std::string variant_line(
    const Json& variant,
    const std::string& indent,
    const std::optional<std::string>& description,
    EnumDefault style
) {
  std::string line = indent + " | ";
  const std::string type = type_of(variant, indent + "   ");
  line += type;
  line += nullable_suffix(variant, type);
  line += trailing_comment(description, default_comment(variant, style));
  return line;
}

/// "indent// comment\n".
std::string comment_line(const std::string& indent, std::string_view comment) {
  return fmt::format("{}// {}\n", indent, comment);
}

std::string title_comment(const Json& property, const std::string& indent) {
  const auto title = string_member(property, "title");
  if (!title) return "";
  return comment_line(indent, *title) + indent + "//\n";
}

std::string examples_comment(const Json& property, const std::string& indent) {
  const Json* examples = array_member(property, "examples");
  if (examples == nullptr || examples->empty()) return "";
  std::string text = comment_line(indent, "Examples:");
  for (const Json& example : *examples) {
    if (!example.is_string()) continue;
    text += fmt::format("{}// - \"{}\"\n", indent, example.get<std::string>());
  }
  return text;
}

/// A property whose schema is a oneOf: the variants, one a line, below the name.
std::string union_property(
    const Json& property,
    const Json& variants,
    const std::string& indent,
    const std::string& declaration
) {
  const auto description = string_member(property, "description");
  const auto first_description =
      variants.empty() ? std::nullopt : string_member(variants[0], "description");
  const bool described = description && description != first_description;
  std::string text = title_comment(property, indent) + examples_comment(property, indent);
  if (described) text += comment_line(indent, *description);
  const auto value = default_comment(property, EnumDefault::kBare);
  if (value) text += comment_line(indent, *value);
  text += indent + declaration + ":\n";
  for (std::size_t i = 0; i < variants.size(); ++i) {
    auto shown = string_member(variants[i], "description");
    if ((i == 0 && described) || shown == description) shown.reset();
    text += variant_line(variants[i], indent, shown, EnumDefault::kBare) + "\n";
  }
  return text + indent + ",\n";
}

std::string plain_property(
    const Json& property, const std::string& indent, const std::string& declaration
) {
  std::string text = title_comment(property, indent);
  const auto description = string_member(property, "description");
  if (description) text += comment_line(indent, *description);
  text += examples_comment(property, indent);
  const std::string type = type_of(property, indent + "    ");
  text += fmt::format("{}{}: {}{},", indent, declaration, type, nullable_suffix(property, type));
  const auto value = default_comment(property, EnumDefault::kBare);
  if (value) text += " // " + *value;
  return text + "\n";
}

bool is_required(const Json& object, const std::string& key) {
  const Json* required = array_member(object, "required");
  if (required == nullptr) return false;
  return std::any_of(required->begin(), required->end(), [&](const Json& name) {
    return name.is_string() && name.get_ref<const std::string&>() == key;
  });
}

std::string object_type(const Json& schema, const std::string& indent) {
  std::string text;
  const auto description = string_member(schema, "description");
  if (description) text += comment_line(indent, *description);
  text += "{\n";
  const Json* properties = member(schema, "properties");
  if (properties != nullptr && properties->is_object()) {
    for (const auto& [key, property] : properties->items()) {
      const std::string declaration = is_required(schema, key) ? key : key + "?";
      const Json* variants = array_member(property, "oneOf");
      text += variants != nullptr ? union_property(property, *variants, indent, declaration)
                                  : plain_property(property, indent, declaration);
    }
  }
  return text + indent + "}";
}

/// The strings of an array, each passed through `write`, joined by " | ".
template <class Write>
std::string join_strings(const Json& values, const Write& write) {
  std::string text;
  for (const Json& value : values) {
    if (!value.is_string()) continue;
    if (!text.empty()) text += " | ";
    text += write(value.get_ref<const std::string&>());
  }
  return text;
}

std::string string_type(const Json& schema) {
  const Json* values = array_member(schema, "enum");
  if (values == nullptr) return "string";
  const std::string text =
      join_strings(*values, [](const std::string& value) { return fmt::format("\"{}\"", value); });
  return text.empty() ? "string" : text;
}

std::string array_type(const Json& schema, const std::string& indent) {
  const Json* items = member(schema, "items");
  return items == nullptr ? "Array<any>" : type_of(*items, indent) + "[]";
}

std::string named_type(const Json& schema, const std::string& name, const std::string& indent) {
  if (name == "object") return object_type(schema, indent);
  if (name == "string") return string_type(schema);
  if (name == "number" || name == "integer") return "number";
  if (name == "boolean") return "boolean";
  if (name == "array") return array_type(schema, indent);
  return "any";
}

std::string type_of(const Json& schema, const std::string& indent) {
  if (const Json* variants = array_member(schema, "oneOf")) {
    std::string text;
    for (const Json& variant : *variants) {
      text += '\n';
      text += variant_line(
          variant, indent, string_member(variant, "description"), EnumDefault::kQuoted
      );
    }
    return text;
  }
  if (const Json* types = array_member(schema, "type")) {
    std::string text = join_strings(*types, [](const std::string& name) {
      return name == "integer" ? std::string("number") : name;
    });
    if (!text.empty()) return text;
  }
  const auto name = string_member(schema, "type");
  return name ? named_type(schema, *name, indent) : "any";
}

}  // namespace

Result<std::string> typescript_of(std::string_view schema) {
  GOSSAMER_ASSIGN_OR_RETURN(const Json value, parse_json(schema, "JSON schema"));
  return type_of(value, "");
}

}  // namespace gossamer::harmony
