#include "tests/model/counted_allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> g_allocations{0};

void* allocate(std::size_t size) {
  ++g_allocations;
  return std::malloc(size == 0 ? 1 : size);
}

}  // namespace

// All forms that the standard library pairs with each other: a sanitizer would refuse a mixture of
// these and its own.
void* operator new(std::size_t size) {
  if (void* memory = allocate(size)) return memory;
  throw std::bad_alloc();
}

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size);
}

void operator delete(void* memory) noexcept {
  std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}

namespace gossamer::model {

std::size_t num_allocations() {
  return g_allocations;
}

}  // namespace gossamer::model
