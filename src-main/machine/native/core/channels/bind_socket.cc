// SPDX-License-Identifier: Apache-2.0
#include "core/channels/bind_socket.h"

#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

namespace godwit {
namespace {

/// A migration opens a handful of connections (multifd: one a thread), all within one round trip.
constexpr int kBacklog = 64;

/// What an empty host means: any address of both families, or of IPv4 alone where the kernel has no IPv6.
std::vector<SocketAddress> any_addresses(std::uint16_t port) {
  SocketAddress any6;
  sockaddr_in6& six = reinterpret_cast<sockaddr_in6&>(any6.storage);
  six.sin6_family = AF_INET6;
  six.sin6_addr = in6addr_any;
  six.sin6_port = htons(port);
  any6.length = sizeof six;
  SocketAddress any4;
  sockaddr_in& four = reinterpret_cast<sockaddr_in&>(any4.storage);
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  any4.length = sizeof four;
  return {any6, any4};
}

/// Listens on one address; an errno on failure, 0 on success.
int listen_on(const SocketAddress& address, UniqueFd& out) {
  UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return errno;
  const int on = 1;
  const int off = 0;
  // Connections of an earlier listener that linger in TIME_WAIT must not keep its port.
  if (address.family() != AF_VSOCK) ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.family() == AF_INET6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(socket.get(), address.get(), address.length) != 0 || ::listen(socket.get(), kBacklog) != 0) return errno;
  out = std::move(socket);
  return 0;
}

/// Whether the path is a socket file that refuses connections: its listener is gone.
bool is_stale_socket(const std::string& path, const SocketAddress& address) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe) return false;
  return ::connect(probe.get(), address.get(), address.length) != 0 && errno == ECONNREFUSED;
}

Failure bind_failure(const std::string& path, int error) {
  return Failure::from_code(error, "bind", "Failed to bind socket to " + path);
}

}  // namespace

Result<UniqueFd> listen_tcp(const TcpTarget& target) {
  // The loopback name is the one name that needs no resolver (RFC 6761 6.3), so this call never blocks.
  const TcpTarget numeric{target.host == "localhost" ? "127.0.0.1" : target.host, target.port};
  const std::vector<SocketAddress> addresses =
      numeric.host.empty() ? any_addresses(target.port) : numeric_addresses(numeric);
  if (addresses.empty()) {
    return Failure::invalid("'" + target.host + "' is not a numeric address: listen on an address of this machine, " +
                            "for example 127.0.0.1, or leave the host empty for all of them");
  }
  int error = 0;
  for (const SocketAddress& address : addresses) {
    UniqueFd socket;
    error = listen_on(address, socket);
    if (error == 0) return socket;
    if (error == EADDRINUSE) break;  // on all addresses or on none
  }
  return Failure::from_code(error, "bind", "Failed to find an available port");
}

Result<UniqueFd> listen_vsock(const VsockTarget& target) {
  UniqueFd socket;
  const int error = listen_on(vsock_address(target), socket);
  if (error == 0) return socket;
  return Failure::from_code(error, "bind", "Failed to bind socket to '" + describe(target) + "'");
}

Result<UniqueFd> listen_unix(const UnixTarget& target) {
  const Result<SocketAddress> address = unix_address(target.path);
  if (!address) return address.failure();
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return Failure::from_errno("socket", "Failed to create Unix socket");
  // bind(2) gives the file the mode of the socket's own inode, less the umask: set before, it is never wider.
  if (::fchmod(socket.get(), S_IRUSR | S_IWUSR) != 0) {
    return Failure::from_errno("fchmod", "Unable to restrict the socket to its owner");
  }
  if (::bind(socket.get(), address->get(), address->length) != 0) {
    const int error = errno;
    if (error != EADDRINUSE || !is_stale_socket(target.path, *address)) return bind_failure(target.path, error);
    ::unlink(target.path.c_str());
    if (::bind(socket.get(), address->get(), address->length) != 0) return bind_failure(target.path, errno);
  }
  if (::listen(socket.get(), kBacklog) != 0) {
    const int error = errno;
    ::unlink(target.path.c_str());
    return Failure::from_code(error, "listen", "Failed to listen on socket");
  }
  return socket;
}

}  // namespace godwit
