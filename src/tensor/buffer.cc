#include "tensor/buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "base/terminal.h"

namespace gossamer::tensor {
namespace {

// An mmap of zero bytes is an error; an empty buffer is not.
std::size_t mapped_size(std::size_t size_bytes) {
  return std::max<std::size_t>(size_bytes, 1);
}

/// What MADV_POPULATE_WRITE does, for systems without it: a write to each page that changes
/// nothing, whoever else writes there.
void touch_pages(std::byte* data, std::size_t size_bytes) {
  const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  for (std::size_t offset = 0; offset < size_bytes; offset += page_bytes) {
    std::atomic_ref(reinterpret_cast<unsigned char&>(data[offset])).fetch_or(0);
  }
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

void HostBuffer::commit(std::size_t offset_bytes, std::size_t num_bytes) {
  GOSSAMER_CHECK(offset_bytes + num_bytes <= size_bytes());
  if (::madvise(data() + offset_bytes, num_bytes, MADV_POPULATE_WRITE) == 0) return;
  // Where there is no memory, a write would be the end of the process.
  if (errno == EINVAL) touch_pages(data() + offset_bytes, num_bytes);
}

HostBuffer::~HostBuffer() {
  ::munmap(data(), mapped_size(size_bytes()));
}

}  // namespace gossamer::tensor
