// SPDX-License-Identifier: Apache-2.0
#include "core/channels/socket_target.h"

#include <linux/vm_sockets.h>
#include <netdb.h>
#include <netinet/in.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace godwit {
namespace {

struct AddressListDeleter {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

/// Answers an EAI_ code.
int look_up(const TcpTarget& target, int flags, std::vector<SocketAddress>& found) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* raw = nullptr;
  const int code = ::getaddrinfo(target.host.c_str(), std::to_string(target.port).c_str(), &hints, &raw);
  if (code != 0) return code;
  const std::unique_ptr<addrinfo, AddressListDeleter> list(raw);
  for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
    SocketAddress address;
    if (entry->ai_addrlen > sizeof address.storage) continue;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.length = entry->ai_addrlen;
    found.push_back(address);
  }
  return 0;
}

int errno_of(int resolver_code) {
  switch (resolver_code) {
    case EAI_SYSTEM:
      return errno;
    case EAI_MEMORY:
      return ENOMEM;
    case EAI_AGAIN:
      return EAGAIN;
    default:
      return EHOSTUNREACH;
  }
}

}  // namespace

std::string describe(const SocketTarget& target) {
  if (const TcpTarget* tcp = std::get_if<TcpTarget>(&target)) return tcp->host + ":" + std::to_string(tcp->port);
  if (const UnixTarget* path = std::get_if<UnixTarget>(&target)) return path->path;
  const VsockTarget& vsock = std::get<VsockTarget>(target);
  return std::to_string(vsock.cid) + ":" + std::to_string(vsock.port);
}

SocketAddress vsock_address(const VsockTarget& target) {
  SocketAddress address;
  sockaddr_vm& name = reinterpret_cast<sockaddr_vm&>(address.storage);
  name.svm_family = AF_VSOCK;
  name.svm_cid = target.cid;
  name.svm_port = target.port;
  address.length = sizeof name;
  return address;
}

Result<VsockTarget> local_vsock_address(int socket) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0) {
    return Failure::from_errno("getsockname", "Unable to find the socket's own address");
  }
  const sockaddr_vm& name = reinterpret_cast<const sockaddr_vm&>(address.storage);
  return VsockTarget{name.svm_cid, name.svm_port};
}

Result<SocketAddress> unix_address(const std::string& path) {
  SocketAddress address;
  sockaddr_un& name = reinterpret_cast<sockaddr_un&>(address.storage);
  if (path.empty()) return Failure::invalid("A unix socket needs a path");
  if (path.find('\0') != std::string::npos) return Failure::invalid("A unix socket's path holds no NUL byte");
  if (path.size() >= sizeof name.sun_path) {
    return Failure{ENAMETOOLONG, "",
                   "UNIX socket path '" + path + "' is too long: it has " + std::to_string(path.size()) +
                       " bytes, and " + std::to_string(sizeof name.sun_path - 1) + " is the most; use a shorter path"};
  }
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

std::vector<SocketAddress> numeric_addresses(const TcpTarget& target) {
  std::vector<SocketAddress> found;
  if (look_up(target, AI_NUMERICHOST, found) != 0) found.clear();
  return found;
}

Result<std::vector<SocketAddress>> resolve(const TcpTarget& target) {
  std::vector<SocketAddress> found;
  const int code = look_up(target, 0, found);
  if (code == 0 && !found.empty()) return found;
  const char* reason = code == 0 ? "no address" : code == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(code);
  return Failure{code == 0 ? EHOSTUNREACH : errno_of(code), "getaddrinfo",
                 "address resolution failed for " + describe(target) + ": " + reason};
}

Result<TcpTarget> local_address(int socket) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0) {
    return Failure::from_errno("getsockname", "Unable to find the socket's own address");
  }
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  const int code = ::getnameinfo(address.get(), address.length, host.data(), host.size(), port.data(), port.size(),
                                 NI_NUMERICHOST | NI_NUMERICSERV);
  if (code != 0) {
    return Failure{EAFNOSUPPORT, "getnameinfo",
                   std::string("Unable to write the socket's own address in numbers: ") + ::gai_strerror(code)};
  }
  return TcpTarget{host.data(), static_cast<std::uint16_t>(std::strtoul(port.data(), nullptr, 10))};
}

}  // namespace godwit
