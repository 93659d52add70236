#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gossamer::api {

/// An id that nobody can guess: new_id("resp") is "resp_" and 32 hexadecimal digits. Any thread.
std::string new_id(std::string_view prefix);

/// Names the items and calls of a response. Each id holds the response's own, so that whoever has
/// an item's id can find it. One thread at a time.
class ItemIds {
 public:
  /// Which items: the ids of one half differ from those of the other.
  enum class Half { kInput, kOutput };

  /// `response_id` is one of new_id's.
  ItemIds(std::string_view response_id, Half half);

  /// A new id, e.g. next("msg"): "msg_", the digits of the response's id, and five more.
  std::string next(std::string_view prefix);

 private:
  std::string digits_;
  std::uint32_t count_;
};

/// The id of the response that an item belongs to, if ItemIds made its id.
std::optional<std::string> response_of_item(std::string_view item_id);

}  // namespace gossamer::api
