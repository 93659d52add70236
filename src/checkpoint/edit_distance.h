#pragma once

#include <cstddef>
#include <string_view>

namespace gossamer::checkpoint {

/// The number of bytes to insert, delete or replace to turn one text into the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace gossamer::checkpoint
