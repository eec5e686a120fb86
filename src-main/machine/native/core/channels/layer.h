// SPDX-License-Identifier: Apache-2.0
// What a channel's bytes pass on their way to the descriptor: nothing for a plain socket, encryption for TLS.
#pragma once

#include <poll.h>
#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

#include "core/base/unique_fd.h"

namespace godwit {

/// What one attempt to move bytes came to.
struct IoOutcome {
  /// Bytes moved. 0 without an error: for a read, the peer has closed its side.
  std::size_t bytes = 0;
  /// 0, EAGAIN (wait for `wait_for`, then try again), or the errno that broke the connection.
  int error = 0;
  /// POLLIN or POLLOUT; TLS may have to read before it can write.
  short wait_for = 0;
  /// The system call that failed.
  const char* syscall = "";
};

/// Neither read() nor write() blocks. One thread reads while another writes: a layer with state of its own locks it,
/// and holds no lock over a system call that can block.
class Layer {
 public:
  virtual ~Layer() = default;

  /// Moves as many bytes as it can into `parts`, filling them in order.
  virtual IoOutcome read(std::span<iovec> parts) = 0;
  /// Moves as many bytes as it can out of `parts`, in order. At most kMaxParts parts.
  virtual IoOutcome write(std::span<iovec> parts) = 0;
  /// Ends the connection in both directions; safe while other threads read and write.
  virtual void shutdown() = 0;
  /// What poll(2) waits on.
  virtual int descriptor() const = 0;
  /// Whether the peer is still there: 0, or the errno to break the connection with. Asked every look_again() while
  /// somebody waits for the peer; less than 0: never.
  virtual int lost() const { return 0; }
  virtual std::chrono::milliseconds look_again() const { return std::chrono::milliseconds{-1}; }
  /// Descriptors that came with what was read since the last call, where the layer takes any. On the reading thread.
  virtual std::vector<UniqueFd> take_descriptors() { return {}; }

  static constexpr std::size_t kMaxParts = 1024;  // IOV_MAX: the kernel refuses more
};

}  // namespace godwit
