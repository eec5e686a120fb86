// SPDX-License-Identifier: Apache-2.0
#include "core/channels/rights_layer.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/channels/socket_layer.h"

namespace godwit {
namespace {

using ControlBuffer = std::array<char, CMSG_SPACE(RightsLayer::kMaxDescriptors * sizeof(int))>;

/// Takes every descriptor of the message, so that none leaks.
std::vector<UniqueFd> descriptors_of(const msghdr& message) {
  std::vector<UniqueFd> found;
  // CMSG_NXTHDR wants a message that it could write to.
  msghdr walked = message;
  for (cmsghdr* header = CMSG_FIRSTHDR(&walked); header != nullptr; header = CMSG_NXTHDR(&walked, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t index = 0; index < count; ++index) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + index * sizeof fd, sizeof fd);
      found.emplace_back(fd);
    }
  }
  return found;
}

}  // namespace

Result<std::unique_ptr<Layer>> RightsLayer::create(UniqueFd socket) {
  Result<std::unique_ptr<Layer>> plain = SocketLayer::create(std::move(socket));
  if (!plain) return plain;
  return std::unique_ptr<Layer>(new RightsLayer(*std::move(plain)));
}

IoOutcome RightsLayer::read(std::span<iovec> parts) {
  alignas(cmsghdr) ControlBuffer control{};
  for (;;) {
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t count = ::recvmsg(socket_->descriptor(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return {0, errno == EWOULDBLOCK ? EAGAIN : errno, POLLIN, "recvmsg"};
    // Whoever has left the last ones untaken does not want them: they are closed.
    if (std::vector<UniqueFd> found = descriptors_of(message); !found.empty()) received_ = std::move(found);
    return {static_cast<std::size_t>(count), 0, 0, ""};
  }
}

}  // namespace godwit
