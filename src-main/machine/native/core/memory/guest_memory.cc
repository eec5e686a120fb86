// SPDX-License-Identifier: Apache-2.0
#include "core/memory/guest_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <bit>

#include "core/memory/huge_pages.h"
#include "core/memory/sparse_file.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14, asm-generic/mman-common.h
#endif

namespace godwit {
namespace {

constexpr std::size_t kMaxName = 255;                      // an idstr in the stream has a length of one byte
constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 46;  // half of the user address space of x86-64
// Fresh memory can come as slowly as 0.3 GB/s: 16 MiB keep a cancel well below 100 ms.
constexpr std::uint64_t kPopulateStep = std::uint64_t{16} << 20;

std::string size_text(std::uint64_t bytes) {
  constexpr std::pair<int, const char*> kUnits[] = {{30, " GiB"}, {20, " MiB"}, {10, " KiB"}};
  for (const auto& [shift, unit] : kUnits) {
    const std::uint64_t whole = bytes >> shift;
    if (whole != 0 && whole << shift == bytes) return std::to_string(whole) + unit;
  }
  return std::to_string(bytes) + " bytes";
}

Status check_options(const GuestMemoryOptions& options) {
  if (options.name.empty() || options.name.size() > kMaxName) {
    return Failure::invalid("the name of a memory block must have 1 to 255 bytes");
  }
  if (options.size == 0 || options.size > kMaxSize || options.size % kPageSize != 0) {
    return Failure::invalid("guest memory must be a multiple of 4 KiB, more than 0 and at most 64 TiB: got " +
                            size_text(options.size));
  }
  const std::uint64_t huge = options.huge_page_size;
  if (huge == 0) return success();
  if (!std::has_single_bit(huge) || huge <= kPageSize) {
    return Failure::invalid("a huge page size must be a power of two above 4 KiB, for example 2 MiB: got " +
                            size_text(huge));
  }
  if (options.size % huge != 0) {
    return Failure::invalid("guest memory of " + size_text(options.size) + " is not a multiple of its " +
                            size_text(huge) + " huge pages");
  }
  if (options.anonymous) return Failure::invalid("huge pages need a memfd: leave out anonymous");
  return success();
}

Failure cannot_reserve(const GuestMemoryOptions& options, const char* syscall) {
  const int code = errno;
  std::string what = "cannot reserve " + size_text(options.size) + " of guest memory";
  const char* remedy = "free memory or ask for less";
  if (options.huge_page_size != 0) {
    what += " in huge pages of " + size_text(options.huge_page_size);
    remedy = "reserve more (vm.nr_hugepages) or start without huge pages";
  }
  return Failure{code, syscall, what + ": " + std::strerror(code) + "; " + remedy};
}

/// With overcommit the kernel grants any size, and ends the process when it cannot keep the promise.
Status check_fits(const GuestMemoryOptions& options) {
  struct sysinfo box {};
  if (options.huge_page_size != 0 || ::sysinfo(&box) != 0) return success();
  const std::uint64_t total = (std::uint64_t{box.totalram} + box.totalswap) * box.mem_unit;
  if (options.size <= total) return success();
  return Failure{ENOMEM, {},
                 "cannot reserve " + size_text(options.size) + " of guest memory: this computer has " +
                     size_text(total >> 20 << 20) + "; ask for less"};
}

Result<UniqueFd> make_memfd(const GuestMemoryOptions& options) {
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  if (options.huge_page_size != 0) {
    // memfd_create(2) encodes the page size as mmap(2) does.
    flags |= MFD_HUGETLB | static_cast<unsigned>(std::countr_zero(options.huge_page_size)) << MAP_HUGE_SHIFT;
  }
  // The kernel takes names of at most 249 bytes; the name only shows in /proc/PID/maps.
  UniqueFd fd(::memfd_create(("godwit " + options.name).substr(0, 200).c_str(), flags));
  if (!fd) return cannot_reserve(options, "memfd_create");
  if (::ftruncate(fd.get(), static_cast<off_t>(options.size)) != 0) return cannot_reserve(options, "ftruncate");
  // Nobody who gets the descriptor can shrink it, which would turn accesses into SIGBUS.
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    return cannot_reserve(options, "F_ADD_SEALS");
  }
  return fd;
}

/// What MADV_POPULATE_WRITE does, for kernels before 5.14. Adding nothing keeps bytes that a vCPU writes meanwhile.
void touch_pages(std::uint8_t* begin, std::uint64_t length) {
  for (std::uint64_t offset = 0; offset < length; offset += kPageSize) {
    __atomic_fetch_or(begin + offset, std::uint8_t{0}, __ATOMIC_RELAXED);
  }
}

Failure out_of_bounds(const char* what, std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  return Failure{ERANGE, {},
                 std::string(what) + " of " + std::to_string(length) + " bytes at offset " + std::to_string(offset) +
                     " lies outside the memory block of " + size_text(size)};
}

Result<UniqueFd> open_dump(const std::string& path) {
  // O_NONBLOCK: opening a FIFO that nobody reads must not hang.
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600));
  if (!fd) return Failure::from_errno("open", "cannot write memory to " + path);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return Failure::from_errno("fstat", "cannot write memory to " + path);
  if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode)) {
    return Failure::invalid("cannot write memory to " + path + ": it is not a regular file");
  }
  return fd;
}

}  // namespace

Result<std::shared_ptr<GuestMemory>> GuestMemory::create(const GuestMemoryOptions& options) {
  if (Status checked = check_options(options); !checked) return checked.failure();
  if (Status fits = check_fits(options); !fits) return fits.failure();
  std::shared_ptr<GuestMemory> memory(new GuestMemory);
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
  if (!options.anonymous) {
    Result<UniqueFd> fd = make_memfd(options);
    if (!fd) return std::move(fd).failure();
    memory->fd_ = *std::move(fd);
    flags = MAP_SHARED;
  }
  // The kernel itself aligns memory of huge pages that are reserved.
  if (options.huge_page_size == 0) {
    memory->mapping_ = map_aligned(options.size, flags, memory->fd_.get());
  } else {
    void* const address = ::mmap(nullptr, options.size, PROT_READ | PROT_WRITE, flags, memory->fd_.get(), 0);
    if (address != MAP_FAILED) memory->mapping_ = Mapping(address, options.size);
  }
  if (!memory->mapping_) return cannot_reserve(options, "mmap");
  ::madvise(memory->data(), options.size, MADV_DONTDUMP);  // a core file of the process needs no copy of the guest
  memory->name_ = options.name;
  memory->size_ = options.size;
  memory->huge_page_size_ = options.huge_page_size;
  memory->user_dirty_ = std::vector<std::atomic<std::uint64_t>>((memory->pages() + 63) / 64);
  return memory;
}

Status GuestMemory::populate(const std::atomic<bool>& cancel) {
  const std::uint64_t step = std::max(kPopulateStep, huge_page_size_);
  for (std::uint64_t offset = 0; offset < size_;) {
    if (cancel.load(std::memory_order_relaxed)) return Failure::cancelled("populating guest memory");
    const std::uint64_t length = std::min(step, size_ - offset);
    collapse_pieces(offset, length);
    if (::madvise(data() + offset, length, MADV_POPULATE_WRITE) != 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      if (errno != EINVAL) {
        const int code = errno;
        return Failure{code, "madvise",
                       "cannot populate " + size_text(size_) + " of guest memory: " + std::strerror(code) +
                           "; free memory or ask for less"};
      }
      touch_pages(data() + offset, length);
    }
    offset += length;
  }
  return success();
}

/// What stays in small pages, for want of a free huge page or of a kernel that can, is none the worse.
void GuestMemory::collapse_pieces(std::uint64_t offset, std::uint64_t length) {
  if (huge_page_size_ != 0 || !fd_) return;
  for (std::uint64_t piece = offset; piece + kTransparentHugePage <= offset + length; piece += kTransparentHugePage) {
    if (!collapse(data() + piece) && errno == EINVAL) return;  // a kernel without it
  }
}

Status GuestMemory::write(std::uint64_t offset, std::span<const std::uint8_t> bytes) {
  if (offset > size_ || bytes.size() > size_ - offset) return out_of_bounds("a write", offset, bytes.size(), size_);
  if (bytes.empty()) return success();
  std::memcpy(data() + offset, bytes.data(), bytes.size());
  mark_dirty(offset, bytes.size());
  return success();
}

Status GuestMemory::discard() {
  // MADV_DONTNEED frees no shared page: a memfd's pages go by a hole in the file (fallocate(2)), which also unmaps them.
  const bool failed = fd_.get() < 0 ? ::madvise(data(), size_, MADV_DONTNEED) != 0
                                    : ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                                                  static_cast<off_t>(size_)) != 0;
  if (!failed) return success();
  return Failure::from_errno(fd_.get() < 0 ? "madvise" : "fallocate", "cannot release guest memory");
}

Status GuestMemory::read(std::uint64_t offset, std::span<std::uint8_t> into) const {
  if (offset > size_ || into.size() > size_ - offset) return out_of_bounds("a read", offset, into.size(), size_);
  if (!into.empty()) std::memcpy(into.data(), data() + offset, into.size());
  return success();
}

Status GuestMemory::dump(const std::string& path, std::uint64_t offset, std::uint64_t length,
                         const std::atomic<bool>& cancel) const {
  if (offset > size_ || length > size_ - offset) return out_of_bounds("a dump", offset, length, size_);
  Result<UniqueFd> fd = open_dump(path);
  if (!fd) return std::move(fd).failure();
  if (Status written = write_sparse(fd->get(), path, {data() + offset, length}, {fd_.get(), offset}, cancel); !written) {
    return written;
  }
  // A full disk can show as late as here.
  if (::close(fd->release()) != 0) return Failure::from_errno("close", "cannot write memory to " + path);
  return success();
}

void GuestMemory::mark_dirty(std::uint64_t offset, std::uint64_t length) {
  if (length == 0) return;
  const std::uint64_t first = offset / kPageSize;
  const std::uint64_t last = (offset + length - 1) / kPageSize;
  for (std::uint64_t word = first / 64; word <= last / 64; ++word) {
    std::uint64_t mask = ~std::uint64_t{0};
    if (word == first / 64) mask &= ~std::uint64_t{0} << first % 64;
    if (word == last / 64) mask &= ~std::uint64_t{0} >> (63 - last % 64);
    // Release: who takes the mark also sees the bytes that were written before it.
    user_dirty_[word].fetch_or(mask, std::memory_order_release);
  }
}

void GuestMemory::take_user_dirty(std::span<std::uint64_t> bitmap) {
  const std::size_t words = std::min(bitmap.size(), user_dirty_.size());
  for (std::size_t word = 0; word < words; ++word) {
    if (user_dirty_[word].load(std::memory_order_relaxed) == 0) continue;
    bitmap[word] |= user_dirty_[word].exchange(0, std::memory_order_acquire);
  }
}

}  // namespace godwit
