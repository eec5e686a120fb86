// SPDX-License-Identifier: Apache-2.0
// One block of guest RAM: a sealed memfd, its mapping, and the bitmap of pages that our own process wrote.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/mapping.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace godwit {

inline constexpr std::uint64_t kPageSize = 4096;  // target page size on x86 (migration-stream.md 1)

struct GuestMemoryOptions {
  std::string name;                  // the RAM block's idstr in the migration stream, for example "microvm.ram"
  std::uint64_t size = 0;            // bytes, a multiple of the page size
  std::uint64_t huge_page_size = 0;  // 0, or the size of the huge pages that back the memfd (MFD_HUGETLB)
  bool anonymous = false;            // anonymous memory instead of a memfd, for comparison only
};

/// Any access through data() can fault and block: it belongs on a worker thread, never on the JavaScript thread.
class GuestMemory {
 public:
  static Result<std::shared_ptr<GuestMemory>> create(const GuestMemoryOptions& options);

  const std::string& name() const { return name_; }
  std::uint64_t size() const { return size_; }
  std::uint64_t pages() const { return size_ / kPageSize; }
  std::uint64_t huge_page_size() const { return huge_page_size_; }
  std::uint8_t* data() const { return mapping_.data(); }
  /// -1 for anonymous memory.
  int fd() const { return fd_.get(); }

  /// Touches every page (in steps, checked against `cancel` between them), in huge pages where the kernel has them, so
  /// that neither the loader nor the guest meets first-touch faults. Contents are kept.
  Status populate(const std::atomic<bool>& cancel);

  /// Bounds-checked copies. A write marks the pages in the user dirty bitmap.
  Status write(std::uint64_t offset, std::span<const std::uint8_t> bytes);
  Status read(std::uint64_t offset, std::span<std::uint8_t> into) const;
  /// Writes [offset, offset + length) to a file, created with mode 0600 or truncated; pages that are zero become holes.
  /// The path must not be a directory.
  Status dump(const std::string& path, std::uint64_t offset, std::uint64_t length,
              const std::atomic<bool>& cancel) const;

  /// Gives every page back to the kernel: the block reads as zeros afterwards. Nothing may use it meanwhile.
  Status discard();

  /// Marks pages that code of this process wrote through data(); KVM does not see those writes.
  void mark_dirty(std::uint64_t offset, std::uint64_t length);
  /// ORs the marks into `bitmap` and clears them.
  void take_user_dirty(std::span<std::uint64_t> bitmap);

 private:
  GuestMemory() = default;
  void collapse_pieces(std::uint64_t offset, std::uint64_t length);

  std::string name_;
  std::uint64_t size_ = 0;
  std::uint64_t huge_page_size_ = 0;
  UniqueFd fd_;
  Mapping mapping_;
  std::vector<std::atomic<std::uint64_t>> user_dirty_;
};

}  // namespace godwit
