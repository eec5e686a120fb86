// SPDX-License-Identifier: Apache-2.0
#include "core/channels/file_layer.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace godwit {

Result<std::unique_ptr<Layer>> FileLayer::create(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return Failure::from_errno("fstat", "Unable to read the stream file");
  if (!S_ISREG(status.st_mode)) return Failure::invalid("A saved stream must be a regular file");
  UniqueFd file(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!file) return Failure::from_errno("fcntl", "Unable to duplicate the descriptor of the stream file");
  return std::unique_ptr<Layer>(new FileLayer(std::move(file)));
}

IoOutcome FileLayer::read(std::span<iovec> parts) {
  for (;;) {
    const ssize_t count =
        ::preadv(file_.get(), parts.data(), static_cast<int>(parts.size()), static_cast<off_t>(offset_));
    if (count >= 0) {
      offset_ += static_cast<std::uint64_t>(count);
      return {static_cast<std::size_t>(count), 0, 0, ""};
    }
    if (errno != EINTR) return {0, errno, 0, "preadv"};
  }
}

IoOutcome FileLayer::write(std::span<iovec>) { return {0, EROFS, 0, "write"}; }

}  // namespace godwit
