// SPDX-License-Identifier: Apache-2.0
#include "core/channels/descriptor_layer.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>

namespace godwit {

Result<std::unique_ptr<Layer>> DescriptorLayer::create(UniqueFd fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return Failure::from_errno("fcntl", "Unable to make the descriptor non-blocking");
  }
  return std::unique_ptr<Layer>(new DescriptorLayer(std::move(fd)));
}

IoOutcome DescriptorLayer::read(std::span<iovec> parts) {
  for (;;) {
    const ssize_t count = ::readv(fd_.get(), parts.data(), static_cast<int>(parts.size()));
    if (count >= 0) return {static_cast<std::size_t>(count), 0, 0, ""};
    if (errno != EINTR) return {0, errno == EWOULDBLOCK ? EAGAIN : errno, POLLIN, "readv"};
  }
}

IoOutcome DescriptorLayer::write(std::span<iovec> parts) {
  for (;;) {
    // SIGPIPE is ignored in every process that loads the addon (libuv sees to it): a closed pipe is EPIPE.
    const ssize_t count = ::writev(fd_.get(), parts.data(), static_cast<int>(parts.size()));
    if (count >= 0) return {static_cast<std::size_t>(count), 0, 0, ""};
    if (errno != EINTR) return {0, errno == EWOULDBLOCK ? EAGAIN : errno, POLLOUT, "writev"};
  }
}

}  // namespace godwit
