// SPDX-License-Identifier: Apache-2.0
#include "core/kvm/serial_output.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "core/kvm/kick.h"

namespace godwit {
namespace {

// A pipe that polls as writable takes this much without blocking (PIPE_BUF).
constexpr std::size_t kPiece = 4096;

}  // namespace

SerialOutput::SerialOutput(UniqueFd sink) : sink_(std::move(sink)) {
  if (!sink_) return;
  wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  install_kick_handler();
  thread_ = std::thread([this] { drain(); });
}

void SerialOutput::put(std::uint8_t byte) {
  std::lock_guard lock(mutex_);
  ring_[head_++ % kCapacity] = byte;
  if (!sink_ || sink_failed_) return;
  if (head_ - drained_ > kCapacity) {
    ++drained_;
    ++dropped_;
  }
  if (head_ - drained_ == 1) changed_.notify_all();
}

std::vector<std::uint8_t> SerialOutput::tail() const {
  std::lock_guard lock(mutex_);
  const std::uint64_t length = std::min<std::uint64_t>(head_, kCapacity);
  std::vector<std::uint8_t> bytes(length);
  for (std::uint64_t n = 0; n < length; ++n) bytes[n] = ring_[(head_ - length + n) % kCapacity];
  return bytes;
}

std::uint64_t SerialOutput::dropped() const {
  std::lock_guard lock(mutex_);
  return dropped_;
}

void SerialOutput::drain() {
  ::pthread_setname_np(::pthread_self(), "serial-out");
  accept_kicks();
  bool more = true;
  while (more) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return closing_ || drained_ != head_; });
      if (closing_) break;
    }
    more = write_some(true);
  }
  while (more && write_some(false)) {
  }
  std::lock_guard lock(mutex_);
  finished_ = true;
  changed_.notify_all();
}

/// Hands one piece to the sink; `wait`: waits until the sink takes some or close() is called. False: no more to do.
bool SerialOutput::write_some(bool wait) {
  pollfd fds[2] = {{sink_.get(), POLLOUT, 0}, {wake_.get(), POLLIN, 0}};
  if (::poll(fds, 2, wait ? -1 : 0) < 0) return errno == EINTR;
  if ((fds[0].revents & (POLLOUT | POLLERR | POLLHUP | POLLNVAL)) == 0) return wait;
  std::array<std::uint8_t, kPiece> piece;
  std::size_t length;
  std::uint64_t from;
  {
    std::lock_guard lock(mutex_);
    from = drained_;
    length = std::min<std::uint64_t>(kPiece, head_ - drained_);
    for (std::size_t n = 0; n < length; ++n) piece[n] = ring_[(from + n) % kCapacity];
  }
  if (length == 0) return false;
  const ssize_t written = ::write(sink_.get(), piece.data(), length);
  const int code = errno;
  std::lock_guard lock(mutex_);
  if (written > 0) {
    // put() may have dropped some of these bytes meanwhile; they reached the sink after all.
    const std::uint64_t upto = from + static_cast<std::uint64_t>(written);
    dropped_ -= std::min(drained_, upto) - from;
    drained_ = std::max(drained_, upto);
    return true;
  }
  if (written < 0 && (code == EINTR || code == EAGAIN)) return wait;
  sink_failed_ = true;  // nobody reads any more: the tail is still kept
  drained_ = head_;
  return false;
}

void SerialOutput::close() {
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock(mutex_);
    closing_ = true;
    changed_.notify_all();
    ::eventfd_write(wake_.get(), 1);
    // A terminal may block in write(2) although it polled as writable, and a kick before that call begins is lost:
    // so it is repeated.
    while (!changed_.wait_for(lock, std::chrono::milliseconds(10), [this] { return finished_; })) {
      kick(thread_.native_handle());
    }
  }
  thread_.join();
}

}  // namespace godwit
