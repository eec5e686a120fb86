// SPDX-License-Identifier: Apache-2.0
// A connected migration channel: an output FIFO with a writer thread, and an input buffer with a reader thread and one
// lease, so that at any time at most one party parses.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/base/worker.h"
#include "core/channels/completion.h"
#include "core/channels/input_buffer.h"
#include "core/channels/interrupt.h"
#include "core/channels/layer.h"
#include "core/channels/output.h"

namespace godwit {

using Bytes = std::vector<std::uint8_t>;

/// Must not be destroyed on its own threads: a completion does not own the channel.
class Channel {
 public:
  static constexpr std::size_t kMaxPeek = InputBuffer::kMaxRequire;
  static constexpr std::size_t kMaxRead = 64 << 20;

  /// Takes over a connected stream socket.
  static Result<std::shared_ptr<Channel>> adopt(UniqueFd socket);
  /// The same of a unix socket whose peer may pass descriptors; receive() has them.
  static Result<std::shared_ptr<Channel>> adopt_with_rights(UniqueFd socket);
  static Result<std::shared_ptr<Channel>> create(std::unique_ptr<Layer> layer);
  /// Duplicates a descriptor and makes a channel of what it is: a stream socket, a regular file (from `offset` on), or
  /// anything else that poll(2) works on, such as a pipe.
  static Result<std::shared_ptr<Channel>> on_descriptor(int fd, std::uint64_t offset);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() { close(); }

  /// Different for every channel of this process, also for those that are gone.
  std::uint64_t id() const { return id_; }
  Output& output() { return output_; }
  std::uint64_t bytes_read() const { return input_.position(); }

  void peek(std::size_t bytes, Completion<Bytes> done);
  void read(std::size_t bytes, Completion<Bytes> done);
  void at_end(Completion<bool> done);
  void receive(Completion<Received> done);
  /// Hands the input to `operation`, on the reader thread. Completes there; or at once, on the calling thread, with
  /// EBUSY while another operation holds the input and with ECANCELED after close(). The lease is given back before
  /// `done` is called. `name` is a string literal, for the message.
  template <typename T>
  void use_input(const char* name, std::function<Result<T>(InputBuffer&)> operation, Completion<T> done);

  /// Ends the connection in both directions: pending and later operations fail with ECANCELED. Any thread.
  void shutdown();
  /// shutdown(), then joins the threads and closes the descriptor. Not on the channel's own threads.
  void close();

 private:
  Channel(std::unique_ptr<Layer> layer, std::shared_ptr<Interrupt> stop);
  /// Null when the lease was taken for `name`, else why not.
  std::optional<Failure> take_lease(const char* name);
  /// False after close().
  bool post_to_reader(Worker::Job job);
  static Failure closed() { return Failure::cancelled("The operation on a closed channel"); }

  const std::uint64_t id_;
  const std::shared_ptr<Interrupt> stop_;
  std::mutex mutex_;  // guards layer_ against shutdown() after close(), and reader_
  std::unique_ptr<Layer> layer_;
  InputBuffer input_;
  std::atomic<const char*> lease_ = nullptr;
  Output output_;
  std::unique_ptr<Worker> reader_;
};

template <typename T>
void Channel::use_input(const char* name, std::function<Result<T>(InputBuffer&)> operation, Completion<T> done) {
  if (std::optional<Failure> refused = take_lease(name)) return done(*std::move(refused));
  const bool posted = post_to_reader([this, operation = std::move(operation), done] {
    Result<T> result = operation(input_);
    lease_.store(nullptr, std::memory_order_release);
    done(std::move(result));
  });
  if (posted) return;
  lease_.store(nullptr, std::memory_order_release);
  done(closed());
}

}  // namespace godwit
