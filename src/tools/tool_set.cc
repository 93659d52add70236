#include "tools/tool_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "tools/clock_tool.h"

namespace gossamer::tools {
namespace {

struct Maker {
  std::string_view name;
  std::shared_ptr<const Tool> (*make)();
};

template <class T>
std::shared_ptr<const Tool> make() {
  return std::make_shared<T>();
}

constexpr std::array kMakers = {Maker{"clock", make<ClockTool>}};

}  // namespace

std::vector<std::string_view> tool_names() {
  std::vector<std::string_view> names;
  names.reserve(kMakers.size());
  for (const Maker& maker : kMakers) names.push_back(maker.name);
  return names;
}

Result<std::shared_ptr<const Tool>> make_tool(std::string_view name) {
  for (const Maker& maker : kMakers) {
    if (maker.name == name) return maker.make();
  }
  return make_error(
      ErrorCode::kNotFound,
      "there is no tool \"{}\"; there is {}",
      name,
      fmt::join(tool_names(), ", ")
  );
}

Result<ToolSet> ToolSet::create(const std::vector<std::string_view>& names) {
  ToolSet set;
  for (const std::string_view name : names) {
    if (set.find(name) != nullptr) continue;
    GOSSAMER_ASSIGN_OR_RETURN(auto tool, make_tool(name));
    set.tools_.push_back(std::move(tool));
  }
  std::sort(set.tools_.begin(), set.tools_.end(), [](const auto& a, const auto& b) {
    return a->declaration().name < b->declaration().name;
  });
  return set;
}

std::shared_ptr<const Tool> ToolSet::find(std::string_view name) const {
  for (const auto& tool : tools_) {
    if (tool->declaration().name == name) return tool;
  }
  return nullptr;
}

}  // namespace gossamer::tools
