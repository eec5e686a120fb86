// SPDX-License-Identifier: Apache-2.0
#include "core/channels/socket_layer.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace godwit {
namespace {

/// A unix socket's buffer does not grow by itself as tcp's does; the default (208 KiB) costs a third of the throughput.
/// The kernel caps the value at net.core.wmem_max, silently.
constexpr int kUnixSendBufferBytes = 1 << 20;

void set_option(int socket, int level, int name, int value) {
  // A refused option costs speed or the notice of a dead peer, never correctness.
  ::setsockopt(socket, level, name, &value, sizeof value);
}

}  // namespace

Result<std::unique_ptr<Layer>> SocketLayer::create(UniqueFd socket) {
  int type = 0;
  socklen_t type_length = sizeof type;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &type_length) != 0) {
    return Failure::from_errno("getsockopt", "A channel needs a socket");
  }
  if (type != SOCK_STREAM) return Failure::invalid("A channel needs a stream socket");
  const int flags = ::fcntl(socket.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return Failure::from_errno("fcntl", "Unable to make the socket non-blocking");
  }
  int domain = 0;
  socklen_t domain_length = sizeof domain;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &domain, &domain_length);
  if (domain == AF_UNIX) {
    set_option(socket.get(), SOL_SOCKET, SO_SNDBUF, kUnixSendBufferBytes);
  } else {
    set_option(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(socket.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
  }
  return std::unique_ptr<Layer>(new SocketLayer(std::move(socket)));
}

IoOutcome SocketLayer::read(std::span<iovec> parts) {
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  for (;;) {
    const ssize_t count = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT);
    if (count >= 0) return {static_cast<std::size_t>(count), 0, 0, ""};
    if (errno != EINTR) return {0, errno == EWOULDBLOCK ? EAGAIN : errno, POLLIN, "recvmsg"};
  }
}

IoOutcome SocketLayer::write(std::span<iovec> parts) {
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  for (;;) {
    const ssize_t count = ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) return {static_cast<std::size_t>(count), 0, 0, ""};
    if (errno != EINTR) return {0, errno == EWOULDBLOCK ? EAGAIN : errno, POLLOUT, "sendmsg"};
  }
}

void SocketLayer::shutdown() { ::shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace godwit
