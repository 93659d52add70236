#pragma once

#include <cstddef>

#include "base/result.h"
#include "base/thread_pool.h"

namespace gossamer::kernels::cpu {

/// The rate at which the pool's threads together read memory that no cache holds, in bytes a
/// second: the best of `passes` over a buffer of size_bytes, which should be several times the
/// last-level cache.
Result<double> measure_read_bandwidth(ThreadPool& pool, std::size_t size_bytes, int passes);

}  // namespace gossamer::kernels::cpu
