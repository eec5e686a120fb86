// SPDX-License-Identifier: Apache-2.0
// The outcome of an operation that can fail: a value, or a Failure that a user can act on.
// C++20 has no std::expected, and the core is built without exceptions.
#pragma once

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace godwit {

/// Why something failed. `code` is an errno value, or one of the codes below for failures no errno describes.
struct Failure {
  /// The peer closed the connection at a place where more bytes had to follow.
  static constexpr int kEndOfStream = -1;

  int code = 0;
  /// The system call or ioctl that failed ("KVM_SET_SREGS"), empty for failures of our own.
  std::string syscall;
  /// One sentence: what could not be done and, where there is one, the remedy.
  std::string message;

  /// Builds a failure from the current errno.
  static Failure from_errno(std::string syscall, std::string what) {
    return from_code(errno, std::move(syscall), std::move(what));
  }
  static Failure from_code(int code, std::string syscall, std::string what) {
    std::string text = std::move(what) + ": " + std::strerror(code);
    return Failure{code, std::move(syscall), std::move(text)};
  }
  /// Malformed input from a peer, or misuse by the caller.
  static Failure protocol(std::string message) { return Failure{EPROTO, {}, std::move(message)}; }
  static Failure invalid(std::string message) { return Failure{EINVAL, {}, std::move(message)}; }
  static Failure cancelled(std::string what) { return Failure{ECANCELED, {}, std::move(what) + " was cancelled"}; }
};

struct Unit {};

template <typename T = Unit>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}              // NOLINT: implicit by design
  Result(Failure failure) : state_(std::in_place_index<1>, std::move(failure)) {}    // NOLINT: implicit by design

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Failure& failure() const& { return std::get<1>(state_); }
  Failure&& failure() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Failure> state_;
};

using Status = Result<Unit>;
inline Status success() { return Status(Unit{}); }

}  // namespace godwit
