// SPDX-License-Identifier: Apache-2.0
#include "core/channels/connect.h"

#include <poll.h>
#include <pthread.h>

#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace godwit {
namespace {

using namespace std::chrono_literals;

/// A unix listener whose queue is full refuses with EAGAIN and offers nothing to poll: ask again this often.
constexpr auto kFullQueueRetry = 10ms;

Failure cancelled(const SocketTarget& target) {
  return Failure::cancelled("Connecting to '" + describe(target) + "'");
}

Failure refused(const SocketTarget& target, int error) {
  return Failure::from_code(error, "connect", "Failed to connect to '" + describe(target) + "'");
}

/// A look-up under way. Shared, because it may outlive the one who asked.
struct Lookup {
  std::shared_ptr<Interrupt> done;
  std::mutex mutex;
  std::optional<Result<std::vector<SocketAddress>>> outcome;
};

/// getaddrinfo(3) cannot be interrupted and may take the resolver's full time-out, so it gets a thread that is left
/// behind when the caller cancels: the only detached thread there is. It owns what it uses and touches nothing else.
Result<std::vector<SocketAddress>> look_up(const TcpTarget& target, const Interrupt& cancel) {
  Result<std::shared_ptr<Interrupt>> done = Interrupt::create();
  if (!done) return std::move(done).failure();
  auto lookup = std::make_shared<Lookup>();
  lookup->done = *std::move(done);
  std::thread([lookup, target] {
    ::pthread_setname_np(::pthread_self(), "resolver");
    Result<std::vector<SocketAddress>> found = resolve(target);
    {
      std::lock_guard lock(lookup->mutex);
      lookup->outcome.emplace(std::move(found));
    }
    lookup->done->raise();
  }).detach();
  wait_ready(-1, 0, {&cancel, lookup->done.get()});
  std::lock_guard lock(lookup->mutex);
  if (!lookup->outcome) return cancelled(target);
  return *std::move(lookup->outcome);
}

/// The error that ended the attempt, 0 for success.
int finish_connecting(int socket, const Interrupt& cancel) {
  if (wait_ready(socket, POLLOUT, {&cancel}) == Readiness::kInterrupted) return ECANCELED;
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
  return error;
}

/// The error that ended the attempt, 0 for success.
int connect_to(int socket, const SocketAddress& address, const Interrupt& cancel) {
  for (;;) {
    if (cancel.raised()) return ECANCELED;
    if (::connect(socket, address.get(), address.length) == 0) return 0;
    // After EINTR the attempt goes on by itself, just as after EINPROGRESS.
    if (errno == EINPROGRESS || errno == EINTR) return finish_connecting(socket, cancel);
    if (errno != EAGAIN || address.family() != AF_UNIX) return errno;
    wait_ready(-1, 0, {&cancel}, kFullQueueRetry);
  }
}

Result<std::vector<SocketAddress>> addresses_of(const SocketTarget& target, const Interrupt& cancel) {
  if (const UnixTarget* path = std::get_if<UnixTarget>(&target)) {
    Result<SocketAddress> address = unix_address(path->path);
    if (!address) return std::move(address).failure();
    return std::vector<SocketAddress>{*address};
  }
  if (const VsockTarget* vsock = std::get_if<VsockTarget>(&target)) {
    return std::vector<SocketAddress>{vsock_address(*vsock)};
  }
  const TcpTarget& tcp = std::get<TcpTarget>(target);
  if (tcp.host.empty()) return Failure::invalid("A tcp connection needs a host");
  std::vector<SocketAddress> numeric = numeric_addresses(tcp);
  if (!numeric.empty()) return numeric;
  return look_up(tcp, cancel);
}

}  // namespace

Result<UniqueFd> connect_socket(const SocketTarget& target, const Interrupt& cancel) {
  const Result<std::vector<SocketAddress>> addresses = addresses_of(target, cancel);
  if (!addresses) return addresses.failure();
  int error = EHOSTUNREACH;
  for (const SocketAddress& address : *addresses) {
    UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    error = socket ? connect_to(socket.get(), address, cancel) : errno;
    if (error == 0) return socket;
    if (error == ECANCELED) return cancelled(target);
  }
  return refused(target, error);
}

}  // namespace godwit
