// SPDX-License-Identifier: Apache-2.0
// Where a channel leads to, in words and as socket addresses.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/base/result.h"

namespace godwit {

struct TcpTarget {
  std::string host;
  std::uint16_t port = 0;
};

struct UnixTarget {
  std::string path;
};

/// vsock(7): a virtual machine by its context id, and a port in it.
struct VsockTarget {
  std::uint32_t cid = 0;
  std::uint32_t port = 0;
};

using SocketTarget = std::variant<TcpTarget, UnixTarget, VsockTarget>;

/// `host:port`, the path, or `cid:port`.
std::string describe(const SocketTarget& target);

/// An address of any family, as the socket calls take it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  int family() const { return storage.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// Refuses an empty path, one with a NUL in it, and one that the kernel would not take (more than 107 bytes).
Result<SocketAddress> unix_address(const std::string& path);
SocketAddress vsock_address(const VsockTarget& target);
/// Addresses of a host that is written in numbers; empty when it is a name.
std::vector<SocketAddress> numeric_addresses(const TcpTarget& target);
/// Asks the resolver, which may block for as long as it likes.
Result<std::vector<SocketAddress>> resolve(const TcpTarget& target);
/// The numeric form of a bound tcp socket's own address.
Result<TcpTarget> local_address(int socket);
/// A bound vsock socket's own address, with the kernel's port where any was asked for.
Result<VsockTarget> local_vsock_address(int socket);

}  // namespace godwit
