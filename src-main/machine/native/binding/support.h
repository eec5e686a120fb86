// SPDX-License-Identifier: Apache-2.0
// What every binding file needs to cross the border between JavaScript and the core: promises settled from other
// threads, errors, argument checks, and the closing of everything when the environment or the process ends.
//
// The core knows nothing of Node; the binding decides nothing. No C++ exception crosses this border.
#pragma once

#include <napi.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/base/result.h"

namespace godwit::binding {

/// A handle on JavaScript objects that are kept alive by the bridge, so that other threads can name them.
using HeldId = std::uint64_t;

/// Undoes at_exit() when it goes out of scope.
class ExitHook {
 public:
  ExitHook() = default;
  explicit ExitHook(std::uint64_t id) : id_(id) {}
  ExitHook(ExitHook&& other) noexcept : id_(std::exchange(other.id_, 0)) {}
  ExitHook& operator=(ExitHook&& other) noexcept {
    if (this != &other) {
      reset();
      id_ = std::exchange(other.id_, 0);
    }
    return *this;
  }
  ExitHook(const ExitHook&) = delete;
  ExitHook& operator=(const ExitHook&) = delete;
  ~ExitHook() { reset(); }
  void reset();

 private:
  std::uint64_t id_ = 0;
};

/// The way from any thread back to the JavaScript thread; one for each environment.
class Bridge : public std::enable_shared_from_this<Bridge> {
 public:
  /// Once for each environment, from the module's entry. Null with a pending exception when Node refuses.
  static std::shared_ptr<Bridge> install(Napi::Env env);
  /// JavaScript thread only.
  static std::shared_ptr<Bridge> of(Napi::Env env);

  /// Any thread. Runs `task` on the JavaScript thread soon; drops it when the environment is gone. The task may be
  /// destroyed on any thread, so it must not own JavaScript references: it names them by HeldId.
  void post(std::function<void(Napi::Env)> task);

  /// JavaScript thread. Registers what must happen before the environment or the process ends (also by
  /// process.exit()): `close` must stop and join the threads of one core object. It must own what it uses (a
  /// shared_ptr to the core object), be safe to call in addition to an ordinary close, and call no JavaScript.
  [[nodiscard]] ExitHook at_exit(std::function<void()> close);

  /// JavaScript thread. Keeps an object or function alive until release().
  HeldId hold(const Napi::Object& object);
  /// JavaScript thread. Empty when it was released.
  Napi::Object held(Napi::Env env, HeldId id);
  void release(HeldId id);

  /// JavaScript thread. Classes that native code has to construct, by name.
  void set_constructor(const std::string& name, const Napi::Function& constructor);
  Napi::Function constructor(const std::string& name);

  /// JavaScript thread: the process does not end by itself between these two calls.
  void begin_pending();
  void end_pending();

 private:
  explicit Bridge(Napi::Env env) : env_(env) {}
  static void call_js(napi_env env, napi_value callback, void* context, void* data);
  static void on_environment_exit(void* self);

  Napi::Env env_;
  napi_threadsafe_function function_ = nullptr;
  std::mutex mutex_;  // guards closed_ and the use of function_ from other threads
  bool closed_ = false;
  // JavaScript thread only:
  std::uint64_t pending_ = 0;
  HeldId next_held_ = 1;
  std::unordered_map<HeldId, Napi::ObjectReference> held_;
  std::unordered_map<std::string, Napi::FunctionReference> constructors_;
};

// ---- errors ----

/// Error with `code` (errno name, "EOF" for kEndOfStream), `syscall` where there is one, and the message.
Napi::Value to_js_error(Napi::Env env, const Failure& failure);
/// Throws it; answers undefined, to be returned at once.
Napi::Value throw_failure(Napi::Env env, const Failure& failure);
/// Throws TypeError "expected FORM" (with "; PROBLEM" where given); answers undefined, to be returned at once.
Napi::Value throw_form(Napi::Env env, const char* form, const std::string& problem = {});

// ---- arguments: these answer false (and throw nothing) for a wrong shape; the caller answers with throw_form ----

/// A whole number 0 ≤ n ≤ 2^53-1.
bool to_size(const Napi::Value& value, std::uint64_t& out);
/// A whole number 0 ≤ n ≤ 2^32-1.
bool to_u32(const Napi::Value& value, std::uint32_t& out);
/// A BigInt 0 ≤ n < 2^64.
bool to_u64(const Napi::Value& value, std::uint64_t& out);
bool to_text(const Napi::Value& value, std::string& out);
bool to_flag(const Napi::Value& value, bool& out);
/// A Uint8Array (a Buffer is one). The view is valid until JavaScript runs again: copy what a thread needs.
bool to_bytes(const Napi::Value& value, std::span<const std::uint8_t>& out);
/// A number of milliseconds or bytes ≥ 0 where Infinity means no limit (out = UINT64_MAX); fractions are cut off.
bool to_limit(const Napi::Value& value, std::uint64_t& out);
/// A property that may be absent (or undefined): true and untouched then.
template <typename Out, typename Convert>
bool optional_property(const Napi::Object& object, const char* key, Out& out, Convert convert) {
  const Napi::Value value = object.Get(key);
  return value.IsEmpty() ? false : value.IsUndefined() || convert(value, out);
}
/// For results: exact in a double up to 2^53.
inline Napi::Number to_js(Napi::Env env, std::uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}
inline Napi::Buffer<std::uint8_t> to_js_buffer(Napi::Env env, std::span<const std::uint8_t> bytes) {
  return Napi::Buffer<std::uint8_t>::Copy(env, bytes.data(), bytes.size());
}

// ---- promises ----

template <typename T = Unit>
using Completion = std::function<void(Result<T>)>;

/// A promise and the one call, from any thread, that settles it.
template <typename T = Unit>
struct Async {
  Napi::Promise promise;
  Completion<T> completion;
};

namespace detail {

/// One promise under way. Lives in completions, so on any thread; what is JavaScript's is named by id.
template <typename T>
class Settler {
 public:
  using Convert = std::function<Napi::Value(Napi::Env, T&)>;

  Settler(std::shared_ptr<Bridge> bridge, napi_deferred deferred, HeldId keep_alive, Convert convert)
      : bridge_(std::move(bridge)), deferred_(deferred), keep_alive_(keep_alive), convert_(std::move(convert)) {}
  Settler(const Settler&) = delete;
  Settler& operator=(const Settler&) = delete;
  /// A completion that was dropped without a call must not leave its promise pending for ever.
  ~Settler() { settle(Failure::cancelled("the operation")); }

  void settle(Result<T> result) {
    if (settled_.exchange(true)) return;
    auto shared = std::make_shared<Result<T>>(std::move(result));
    bridge_->post([bridge = bridge_.get(), deferred = deferred_, keep = keep_alive_, convert = std::move(convert_),
                   shared](Napi::Env env) {
      const Napi::HandleScope scope(env);
      if (shared->ok()) {
        const Napi::Value value = convert(env, **shared);
        if (env.IsExceptionPending()) {
          napi_reject_deferred(env, deferred, env.GetAndClearPendingException().Value());
        } else {
          napi_resolve_deferred(env, deferred, value);
        }
      } else {
        napi_reject_deferred(env, deferred, to_js_error(env, shared->failure()));
      }
      bridge->release(keep);
      bridge->end_pending();
    });
  }

 private:
  std::shared_ptr<Bridge> bridge_;
  napi_deferred deferred_;
  HeldId keep_alive_;
  Convert convert_;
  std::atomic<bool> settled_{false};
};

}  // namespace detail

/// JavaScript thread. Makes a promise that other threads settle; the process stays alive until then. `keep_alive`
/// (usually `info.This()`) is not collected meanwhile. `convert` makes the value on the JavaScript thread; it owns no
/// JavaScript reference. Only the first call of the completion counts; dropping every copy rejects with ECANCELED.
template <typename T = Unit>
Async<T> begin_async(Napi::Env env, const Napi::Value& keep_alive,
                     std::function<Napi::Value(Napi::Env, T&)> convert) {
  const std::shared_ptr<Bridge> bridge = Bridge::of(env);
  napi_deferred deferred = nullptr;
  napi_value promise = nullptr;
  napi_create_promise(env, &deferred, &promise);
  const HeldId held = keep_alive.IsObject() ? bridge->hold(keep_alive.As<Napi::Object>()) : 0;
  bridge->begin_pending();
  auto settler = std::make_shared<detail::Settler<T>>(bridge, deferred, held, std::move(convert));
  return Async<T>{Napi::Promise(env, promise),
                  [settler](Result<T> result) { settler->settle(std::move(result)); }};
}

/// For operations without a value: the promise resolves with undefined.
inline Async<Unit> begin_async(Napi::Env env, const Napi::Value& keep_alive) {
  return begin_async<Unit>(env, keep_alive, [](Napi::Env e, Unit&) -> Napi::Value { return e.Undefined(); });
}

/// A promise that is rejected already.
Napi::Promise rejected(Napi::Env env, const Failure& failure);

/// JavaScript thread. Calls a held function; what it throws becomes an uncaughtException, as for any event handler.
void call_held(Bridge& bridge, Napi::Env env, HeldId function, std::initializer_list<napi_value> arguments);

}  // namespace godwit::binding
