// SPDX-License-Identifier: Apache-2.0
// The incoming way to a connected socket.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/channels/interrupt.h"
#include "core/channels/socket_target.h"

namespace godwit {

class Listener {
 public:
  /// Binds and listens; does not block. A tcp host is numeric, `localhost`, or empty for any address. A unix socket is
  /// created with mode 0600; a socket file that nobody listens on is replaced.
  static Result<std::shared_ptr<Listener>> open(const SocketTarget& target);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { close(); }

  /// The real address, with the kernel's port where 0 was asked for.
  const SocketTarget& address() const { return address_; }
  /// Waits for one connection; fails with ECANCELED soon after `cancel` is raised or close() is called. Any number of
  /// threads may wait.
  Result<UniqueFd> accept(const Interrupt& cancel);
  /// Stops listening, waits for accept() calls under way to leave (they do at once), and removes the socket file that
  /// open() made, unless another has taken its place.
  void close();

 private:
  /// A file's identity, so that close() removes nothing but its own.
  struct FileId {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const FileId&) const = default;
  };

  Listener(UniqueFd socket, SocketTarget address, std::shared_ptr<Interrupt> closing)
      : socket_(std::move(socket)), address_(std::move(address)), closing_(std::move(closing)) {}
  static Result<std::shared_ptr<Listener>> open_vsock(const VsockTarget& target, std::shared_ptr<Interrupt> closing);
  static bool identify(const std::string& path, FileId& id);
  Result<UniqueFd> wait_for_connection(const Interrupt& cancel);

  UniqueFd socket_;
  const SocketTarget address_;
  const std::shared_ptr<Interrupt> closing_;
  bool has_file_ = false;
  FileId file_;

  std::mutex mutex_;
  std::condition_variable idle_;
  int accepting_ = 0;
  bool closed_ = false;
};

}  // namespace godwit
