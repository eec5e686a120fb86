// SPDX-License-Identifier: Apache-2.0
#include "core/channels/file_layer.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <utility>

namespace godwit {

Result<std::unique_ptr<Layer>> FileLayer::create(UniqueFd file, std::uint64_t offset) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return Failure::from_errno("fstat", "Unable to use the stream file");
  if (!S_ISREG(status.st_mode)) return Failure::invalid("A saved stream must be a regular file");
  if (offset > INT64_MAX) return Failure::invalid("The offset of a stream in a file is less than 2^63");
  return std::unique_ptr<Layer>(new FileLayer(std::move(file), offset));
}

IoOutcome FileLayer::read(std::span<iovec> parts) {
  for (;;) {
    const ssize_t count =
        ::preadv(file_.get(), parts.data(), static_cast<int>(parts.size()), static_cast<off_t>(read_at_));
    if (count >= 0) {
      read_at_ += static_cast<std::uint64_t>(count);
      return {static_cast<std::size_t>(count), 0, 0, ""};
    }
    if (errno != EINTR) return {0, errno, 0, "preadv"};
  }
}

IoOutcome FileLayer::write(std::span<iovec> parts) {
  for (;;) {
    const ssize_t count =
        ::pwritev(file_.get(), parts.data(), static_cast<int>(parts.size()), static_cast<off_t>(write_at_));
    if (count >= 0) {
      write_at_ += static_cast<std::uint64_t>(count);
      return {static_cast<std::size_t>(count), 0, 0, ""};
    }
    if (errno != EINTR) return {0, errno, 0, "pwritev"};
  }
}

}  // namespace godwit
