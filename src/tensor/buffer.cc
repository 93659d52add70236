#include "tensor/buffer.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/terminal.h"

namespace gossamer::tensor {
namespace {

// An mmap of zero bytes is an error; an empty buffer is not.
std::size_t mapped_size(std::size_t size_bytes) {
  return std::max<std::size_t>(size_bytes, 1);
}

}  // namespace

Result<std::unique_ptr<HostBuffer>> HostBuffer::allocate(std::size_t size_bytes) {
  const std::size_t size = mapped_size(size_bytes);
  void* address = ::mmap(
      nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0
  );
  if (address == MAP_FAILED) {
    return make_error(
        ErrorCode::kOutOfMemory, "cannot reserve {} of memory", format_bytes(size_bytes)
    );
  }
  ::madvise(address, size, MADV_HUGEPAGE);  // a hint: failing changes speed only
  return std::unique_ptr<HostBuffer>(new HostBuffer(static_cast<std::byte*>(address), size_bytes));
}

HostBuffer::~HostBuffer() {
  ::munmap(data(), mapped_size(size_bytes()));
}

}  // namespace gossamer::tensor
