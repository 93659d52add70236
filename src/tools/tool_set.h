#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/tool.h"

namespace gossamer::tools {

/// The names of all tools that there are, in alphabetical order.
std::vector<std::string_view> tool_names();

/// Makes a tool by its name. kNotFound lists the names that there are.
Result<std::shared_ptr<const Tool>> make_tool(std::string_view name);

/// The tools that a server was told to offer, each at most once, in the order of their names.
class ToolSet {
 public:
  /// Makes tools by their names; a name given twice counts once. Errors as make_tool.
  static Result<ToolSet> create(const std::vector<std::string_view>& names);

  ToolSet() = default;

  /// The tool of a name; null when it is not offered.
  std::shared_ptr<const Tool> find(std::string_view name) const;

  const std::vector<std::shared_ptr<const Tool>>& all() const { return tools_; }

 private:
  std::vector<std::shared_ptr<const Tool>> tools_;
};

}  // namespace gossamer::tools
