// SPDX-License-Identifier: Apache-2.0
// Memory as a file with holes: what is zero takes no room on the disk, and what was never touched takes no memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>

#include "core/base/result.h"

namespace godwit {

/// Where mapped bytes come from.
struct BackingFile {
  /// -1 when there is none; its file offset is moved.
  int fd = -1;
  /// Of the first mapped byte.
  std::uint64_t offset = 0;
};

/// Writes `bytes` to the beginning of `file`, which is empty and open for writing, and gives it their length. Holes of
/// `backing` are skipped without being touched. Files that have no size (/dev/null) get every byte. `path` is for
/// messages.
Status write_sparse(int file, const std::string& path, std::span<const std::uint8_t> bytes, BackingFile backing,
                    const std::atomic<bool>& cancel);

}  // namespace godwit
