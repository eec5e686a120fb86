// SPDX-License-Identifier: Apache-2.0
#include "binding/support.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

namespace godwit::binding {
namespace {

/// Set when exit(3) runs its handlers: from then on nobody may wake the JavaScript thread.
std::atomic<bool> process_ending{false};

/// Everything that has to be closed before the process ends, newest last. Node runs an environment's cleanup hooks
/// when the environment ends by itself, but not after process.exit() on the main thread: there atexit(3) does it.
class ExitRegistry {
 public:
  static ExitRegistry& get() {
    static ExitRegistry* const registry = make();  // never destroyed: threads may outlive static destructors
    return *registry;
  }

  std::uint64_t add(const void* owner, std::function<void()> close) {
    std::lock_guard lock(mutex_);
    const std::uint64_t id = next_++;
    entries_.emplace(id, Entry{owner, std::move(close)});
    return id;
  }

  void remove(std::uint64_t id) {
    std::function<void()> dropped;  // destroyed outside the lock
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    dropped = std::move(found->second.close);
    entries_.erase(found);
  }

  /// Closes what `owner` registered, the newest first; everything when owner is null.
  void run(const void* owner) {
    while (const auto close = take_newest(owner)) close();
  }

 private:
  struct Entry {
    const void* owner;
    std::function<void()> close;
  };

  static ExitRegistry* make() {
    std::atexit([] {
      process_ending.store(true);
      ExitRegistry::get().run(nullptr);
    });
    return new ExitRegistry;
  }

  std::function<void()> take_newest(const void* owner) {
    std::lock_guard lock(mutex_);
    for (auto it = entries_.rbegin(); it != entries_.rend(); ++it) {
      if (owner != nullptr && it->second.owner != owner) continue;
      std::function<void()> close = std::move(it->second.close);
      entries_.erase(std::next(it).base());
      return close;
    }
    return {};
  }

  std::mutex mutex_;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, Entry> entries_;
};

using Task = std::function<void(Napi::Env)>;

constexpr double kMaxSafeInteger = 9007199254740991.0;

bool whole_number_up_to(const Napi::Value& value, double limit, double& out) {
  if (!value.IsNumber()) return false;
  out = value.As<Napi::Number>().DoubleValue();
  return out >= 0 && out <= limit && std::trunc(out) == out;
}

}  // namespace

void ExitHook::reset() {
  if (id_ != 0) ExitRegistry::get().remove(std::exchange(id_, 0));
}

// ---- Bridge ----

std::shared_ptr<Bridge> Bridge::install(Napi::Env env) {
  ExitRegistry::get();  // its atexit handler must be registered before any thread of ours exists
  std::shared_ptr<Bridge> bridge(new Bridge(env));
  const napi_value name = Napi::String::New(env, "godwit");
  const napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, bridge.get(), call_js,
                                      &bridge->function_);
  if (status != napi_ok) {
    Napi::Error::New(env, "cannot create a thread-safe function").ThrowAsJavaScriptException();
    return nullptr;
  }
  napi_unref_threadsafe_function(env, bridge->function_);
  // Node runs cleanup hooks in reverse order, so this one comes before that of the thread-safe function.
  napi_add_env_cleanup_hook(env, on_environment_exit, bridge.get());
  env.SetInstanceData(new std::shared_ptr<Bridge>(bridge));
  return bridge;
}

std::shared_ptr<Bridge> Bridge::of(Napi::Env env) { return *env.GetInstanceData<std::shared_ptr<Bridge>>(); }

void Bridge::on_environment_exit(void* data) {
  Bridge* const self = static_cast<Bridge*>(data);
  {
    std::lock_guard lock(self->mutex_);
    self->closed_ = true;
  }
  ExitRegistry::get().run(self);
  self->held_.clear();
  self->constructors_.clear();
}

void Bridge::post(Task task) {
  auto owned = std::make_unique<Task>(std::move(task));
  std::lock_guard lock(mutex_);
  if (closed_ || process_ending.load()) return;
  // Never blocks: the queue has no limit.
  if (napi_call_threadsafe_function(function_, owned.get(), napi_tsfn_nonblocking) == napi_ok) owned.release();
}

void Bridge::call_js(napi_env env, napi_value, void*, void* data) {
  const std::unique_ptr<Task> task(static_cast<Task*>(data));
  if (env != nullptr) (*task)(Napi::Env(env));
}

ExitHook Bridge::at_exit(std::function<void()> close) {
  return ExitHook(ExitRegistry::get().add(this, std::move(close)));
}

HeldId Bridge::hold(const Napi::Object& object) {
  const HeldId id = next_held_++;
  held_.emplace(id, Napi::Persistent(object));
  return id;
}

Napi::Object Bridge::held(Napi::Env, HeldId id) {
  const auto found = held_.find(id);
  return found == held_.end() ? Napi::Object() : found->second.Value();
}

void Bridge::release(HeldId id) { held_.erase(id); }

void Bridge::set_constructor(const std::string& name, const Napi::Function& constructor) {
  constructors_[name] = Napi::Persistent(constructor);
}

Napi::Function Bridge::constructor(const std::string& name) { return constructors_.at(name).Value(); }

void Bridge::begin_pending() {
  if (pending_++ == 0) napi_ref_threadsafe_function(env_, function_);
}

void Bridge::end_pending() {
  if (--pending_ == 0) napi_unref_threadsafe_function(env_, function_);
}

// ---- errors ----

Napi::Value to_js_error(Napi::Env env, const Failure& failure) {
  const Napi::Error error = Napi::Error::New(env, failure.message);
  const Napi::Object object = error.Value().As<Napi::Object>();
  const char* name = failure.code == Failure::kEndOfStream ? "EOF" : ::strerrorname_np(failure.code);
  object.Set("code", Napi::String::New(env, name != nullptr ? name : "EIO"));
  if (!failure.syscall.empty()) object.Set("syscall", Napi::String::New(env, failure.syscall));
  return object;
}

Napi::Value throw_failure(Napi::Env env, const Failure& failure) {
  napi_throw(env, to_js_error(env, failure));
  return env.Undefined();
}

Napi::Value throw_form(Napi::Env env, const char* form, const std::string& problem) {
  if (env.IsExceptionPending()) return env.Undefined();
  std::string text = std::string("expected ") + form;
  if (!problem.empty()) text += "; " + problem;
  Napi::TypeError::New(env, text).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Promise rejected(Napi::Env env, const Failure& failure) {
  const Napi::Promise::Deferred deferred = Napi::Promise::Deferred::New(env);
  deferred.Reject(to_js_error(env, failure));
  return deferred.Promise();
}

void call_held(Bridge& bridge, Napi::Env env, HeldId function, std::initializer_list<napi_value> arguments) {
  const Napi::Object target = bridge.held(env, function);
  if (target.IsEmpty() || !target.IsFunction()) return;
  target.As<Napi::Function>().Call(arguments);
  if (env.IsExceptionPending()) napi_fatal_exception(env, env.GetAndClearPendingException().Value());
}

// ---- arguments ----

bool to_size(const Napi::Value& value, std::uint64_t& out) {
  double number = 0;
  if (!whole_number_up_to(value, kMaxSafeInteger, number)) return false;
  out = static_cast<std::uint64_t>(number);
  return true;
}

bool to_u32(const Napi::Value& value, std::uint32_t& out) {
  double number = 0;
  if (!whole_number_up_to(value, 4294967295.0, number)) return false;
  out = static_cast<std::uint32_t>(number);
  return true;
}

bool to_u64(const Napi::Value& value, std::uint64_t& out) {
  if (!value.IsBigInt()) return false;
  bool lossless = false;
  const std::uint64_t number = value.As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless) return false;
  out = number;
  return true;
}

bool to_text(const Napi::Value& value, std::string& out) {
  if (!value.IsString()) return false;
  out = value.As<Napi::String>().Utf8Value();
  return true;
}

bool to_flag(const Napi::Value& value, bool& out) {
  if (!value.IsBoolean()) return false;
  out = value.As<Napi::Boolean>().Value();
  return true;
}

bool to_bytes(const Napi::Value& value, std::span<const std::uint8_t>& out) {
  if (!value.IsTypedArray()) return false;
  const Napi::TypedArray array = value.As<Napi::TypedArray>();
  if (array.TypedArrayType() != napi_uint8_array) return false;
  const Napi::Uint8Array bytes = value.As<Napi::Uint8Array>();
  out = std::span<const std::uint8_t>(bytes.Data(), bytes.ByteLength());
  return true;
}

bool to_limit(const Napi::Value& value, std::uint64_t& out) {
  if (!value.IsNumber()) return false;
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= 0)) return false;
  out = number >= 18446744073709549568.0 ? UINT64_MAX : static_cast<std::uint64_t>(number);
  return true;
}

}  // namespace godwit::binding
