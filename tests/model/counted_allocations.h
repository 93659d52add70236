#pragma once

#include <cstddef>

namespace gossamer::model {

/// Calls of operator new in this test program so far, on all threads.
std::size_t num_allocations();

}  // namespace gossamer::model
