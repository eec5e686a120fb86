// SPDX-License-Identifier: Apache-2.0
#include "core/channels/listener.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/channels/bind_socket.h"

namespace godwit {
namespace {

using namespace std::chrono_literals;

/// Without descriptors or memory a connection stays in the queue: ask again this often.
constexpr auto kExhaustedRetry = 50ms;

/// Errors of one connection that was lost while it waited; the listener itself is well (accept(2), "Error handling").
bool concerns_one_connection(int error) {
  switch (error) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

bool is_exhaustion(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

Result<std::shared_ptr<Listener>> Listener::open(const SocketTarget& target) {
  Result<std::shared_ptr<Interrupt>> closing = Interrupt::create();
  if (!closing) return std::move(closing).failure();
  if (const UnixTarget* path = std::get_if<UnixTarget>(&target)) {
    Result<UniqueFd> socket = listen_unix(*path);
    if (!socket) return std::move(socket).failure();
    std::shared_ptr<Listener> listener(new Listener(*std::move(socket), target, *std::move(closing)));
    listener->has_file_ = identify(path->path, listener->file_);
    return listener;
  }
  if (const VsockTarget* vsock = std::get_if<VsockTarget>(&target)) return open_vsock(*vsock, *std::move(closing));
  Result<UniqueFd> socket = listen_tcp(std::get<TcpTarget>(target));
  if (!socket) return std::move(socket).failure();
  Result<TcpTarget> address = local_address(socket->get());
  if (!address) return std::move(address).failure();
  return std::shared_ptr<Listener>(new Listener(*std::move(socket), *std::move(address), *std::move(closing)));
}

Result<std::shared_ptr<Listener>> Listener::open_vsock(const VsockTarget& target, std::shared_ptr<Interrupt> closing) {
  Result<UniqueFd> socket = listen_vsock(target);
  if (!socket) return std::move(socket).failure();
  const Result<VsockTarget> address = local_vsock_address(socket->get());
  if (!address) return address.failure();
  return std::shared_ptr<Listener>(new Listener(*std::move(socket), *address, std::move(closing)));
}

bool Listener::identify(const std::string& path, FileId& id) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return false;
  id = {status.st_dev, status.st_ino};
  return true;
}

Result<UniqueFd> Listener::accept(const Interrupt& cancel) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return Failure::cancelled("Waiting for a connection on '" + describe(address_) + "'");
    ++accepting_;
  }
  Result<UniqueFd> accepted = wait_for_connection(cancel);
  std::lock_guard lock(mutex_);
  --accepting_;
  idle_.notify_all();
  return accepted;
}

Result<UniqueFd> Listener::wait_for_connection(const Interrupt& cancel) {
  for (;;) {
    if (wait_ready(socket_.get(), POLLIN, {&cancel, closing_.get()}) == Readiness::kInterrupted) {
      return Failure::cancelled("Waiting for a connection on '" + describe(address_) + "'");
    }
    UniqueFd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (connection) return connection;
    const int error = errno;
    if (concerns_one_connection(error)) continue;
    if (!is_exhaustion(error)) {
      return Failure::from_code(error, "accept4", "Failed to accept a connection on '" + describe(address_) + "'");
    }
    wait_ready(-1, 0, {&cancel, closing_.get()}, kExhaustedRetry);
  }
}

void Listener::close() {
  closing_->raise();
  std::unique_lock lock(mutex_);
  closed_ = true;
  idle_.wait(lock, [this] { return accepting_ == 0; });
  if (!socket_) return;
  FileId now;
  if (const UnixTarget* path = std::get_if<UnixTarget>(&address_)) {
    if (has_file_ && identify(path->path, now) && now == file_) ::unlink(path->path.c_str());
  }
  socket_.reset();
}

}  // namespace godwit
