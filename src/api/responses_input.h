#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/ids.h"
#include "api/json_reader.h"

namespace gossamer::api {

/// Items of the Responses API, in a form of our own making: every one has a "type" and an "id",
/// message content is a list of parts, and fields that nobody here reads are gone.
using Items = std::vector<Json>;

/// Reads "input": a text, or a list of items as any client writes them. Errors are for what cannot
/// be understood, e.g. an item that is no object; `warnings` gets what is left out: items of
/// unknown types, compactions.
Items read_input(const ObjectReader& request, ItemIds& ids, std::vector<std::string>& warnings);

/// Puts the items that "item_reference" items name in their places. `find` gets an id; what it does
/// not find is left out, with a warning.
void resolve_references(
    Items& items,
    const std::function<std::optional<Json>(const std::string& id)>& find,
    std::vector<std::string>& warnings
);

/// For "truncation": "auto": takes the oldest turn away, from the first item that is not a system's
/// or developer's to the user message after it. False when the last user message is the first.
bool drop_oldest_turn(Items& items);

/// A member that is a string, or nothing.
std::string text_member(const Json& object, std::string_view key);

/// The text of message content, or of a call's output: a string, or parts. Texts are put on lines
/// of their own; images and files become a word in brackets.
std::string text_of_parts(const Json& content);

}  // namespace gossamer::api
