// SPDX-License-Identifier: Apache-2.0
#include "core/channels/socket_layer.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "core/channels/interrupt.h"

namespace godwit {
namespace {

/// A unix socket's buffer does not grow by itself as tcp's does; the default (208 KiB) costs a third of the throughput.
/// The kernel caps the value at net.core.wmem_max, silently.
constexpr int kUnixSendBufferBytes = 1 << 20;

/// So many attempts in a row (of sending data again, or of asking whether a full peer takes some) got no answer.
constexpr unsigned kUnansweredAttempts = 3;
/// A silent connection is probed after a third of the limit, and so often that the limit ends with the last probe.
constexpr int kKeepaliveProbes = 4;

void set_option(int socket, int level, int name, int value) {
  // A refused option costs speed or the notice of a dead peer, never correctness.
  ::setsockopt(socket, level, name, &value, sizeof value);
}

/// The kernel's own keepalive is hours; it covers a connection on which nothing is on its way, lost() all others.
void keep_alive(int socket, std::chrono::milliseconds limit) {
  const int seconds = static_cast<int>(std::chrono::ceil<std::chrono::seconds>(limit).count());
  const int idle = std::max(1, seconds / 3);
  set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, idle);
  set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, std::max(1, (seconds - idle) / kKeepaliveProbes));
  set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
}

}  // namespace

Result<std::unique_ptr<Layer>> SocketLayer::create(UniqueFd socket, LinkLimits limits) {
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
  const bool tcp = domain == AF_INET || domain == AF_INET6;
  if (domain == AF_UNIX) {
    set_option(socket.get(), SOL_SOCKET, SO_SNDBUF, kUnixSendBufferBytes);
  } else if (tcp) {
    set_option(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    keep_alive(socket.get(), limits.unanswered);
  }
  return std::unique_ptr<Layer>(new SocketLayer(std::move(socket), tcp, limits));
}

/// TCP_USER_TIMEOUT would not do: it also ends a connection whose peer answers but has no room for data.
int SocketLayer::lost() const {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (!tcp_ || ::getsockopt(socket_.get(), IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return 0;
  const bool asked = std::max(info.tcpi_retransmits, info.tcpi_probes) >= kUnansweredAttempts;
  return asked && std::chrono::milliseconds(info.tcpi_last_ack_recv) >= limits_.unanswered ? ETIMEDOUT : 0;
}

std::chrono::milliseconds SocketLayer::look_again() const { return tcp_ ? limits_.look_again : kNoTimeout; }

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
