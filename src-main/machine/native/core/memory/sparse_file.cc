// SPDX-License-Identifier: Apache-2.0
#include "core/memory/sparse_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/memory/guest_memory.h"
#include "core/pages/zero_scan.h"

namespace godwit {
namespace {

/// Between two looks at `cancel`.
constexpr std::uint64_t kStep = std::uint64_t{4} << 20;

struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

class Writer {
 public:
  Writer(int file, const std::string& path, std::span<const std::uint8_t> bytes, BackingFile backing,
         const std::atomic<bool>& cancel)
      : file_(file), path_(path), bytes_(bytes), backing_(backing), cancel_(cancel) {}

  Status write_all() {
    for (std::uint64_t at = 0; at < bytes_.size();) {
      if (cancel_.load(std::memory_order_relaxed)) return cancelled();
      const ssize_t written = ::write(file_, bytes_.data() + at, std::min(kStep, bytes_.size() - at));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return failed("write");
      at += static_cast<std::uint64_t>(written);
    }
    return success();
  }

  Status write_data() {
    if (::ftruncate(file_, static_cast<off_t>(bytes_.size())) != 0) return failed("ftruncate");
    for (Range data = next_data(0); data.begin < data.end; data = next_data(data.end)) {
      if (Status written = write_pages(data); !written) return written;
    }
    return success();
  }

 private:
  Failure failed(const char* syscall) const { return Failure::from_errno(syscall, "cannot write memory to " + path_); }

  Failure cancelled() const { return Failure::cancelled("writing memory to " + path_); }

  /// The next part, in whole pages of the file, that is not a hole of the backing file; empty when there is none.
  Range next_data(std::uint64_t from) const {
    if (from >= bytes_.size() || backing_.fd < 0) return {from, bytes_.size()};
    const auto base = static_cast<off_t>(backing_.offset);
    const off_t data = ::lseek(backing_.fd, base + static_cast<off_t>(from), SEEK_DATA);
    if (data < 0) return {errno == ENXIO ? bytes_.size() : from, bytes_.size()};  // else: it cannot tell
    const off_t hole = ::lseek(backing_.fd, data, SEEK_HOLE);
    const std::uint64_t begin = static_cast<std::uint64_t>(data - base) / kPageSize * kPageSize;
    const std::uint64_t end =
        hole < 0 ? bytes_.size() : (static_cast<std::uint64_t>(hole - base) + kPageSize - 1) / kPageSize * kPageSize;
    return {std::min<std::uint64_t>(std::max(begin, from), bytes_.size()), std::min<std::uint64_t>(end, bytes_.size())};
  }

  /// Writes the runs of pages that are not zero.
  Status write_pages(Range range) {
    for (std::uint64_t at = range.begin; at < range.end;) {
      if (cancel_.load(std::memory_order_relaxed)) return cancelled();
      const std::uint64_t limit = std::min(range.end, at + kStep);
      while (at < limit && is_zero(at)) at += kPageSize;
      const std::uint64_t begin = at;
      while (at < limit && !is_zero(at)) at += kPageSize;
      if (begin < at) {
        if (Status written = write({begin, std::min<std::uint64_t>(at, bytes_.size())}); !written) return written;
      }
    }
    return success();
  }

  bool is_zero(std::uint64_t at) const {
    return bytes_.size() - at >= kPageSize && is_zero_page(bytes_.data() + at);
  }

  Status write(Range range) {
    for (std::uint64_t at = range.begin; at < range.end;) {
      if (cancel_.load(std::memory_order_relaxed)) return cancelled();
      const ssize_t written =
          ::pwrite(file_, bytes_.data() + at, std::min(kStep, range.end - at), static_cast<off_t>(at));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return failed("pwrite");
      at += static_cast<std::uint64_t>(written);
    }
    return success();
  }

  const int file_;
  const std::string& path_;
  const std::span<const std::uint8_t> bytes_;
  const BackingFile backing_;
  const std::atomic<bool>& cancel_;
};

}  // namespace

Status write_sparse(int file, const std::string& path, std::span<const std::uint8_t> bytes, BackingFile backing,
                    const std::atomic<bool>& cancel) {
  Writer writer(file, path, bytes, backing, cancel);
  struct stat status {};
  if (::fstat(file, &status) != 0) return Failure::from_errno("fstat", "cannot write memory to " + path);
  return S_ISREG(status.st_mode) ? writer.write_data() : writer.write_all();
}

}  // namespace godwit
