// SPDX-License-Identifier: Apache-2.0
#include "binding/channel_binding.h"

#include <fcntl.h>
#include <unistd.h>

#include <optional>
#include <utility>
#include <variant>

#include "binding/ram_binding.h"
#include "binding/support.h"
#include "core/channels/connect.h"
#include "core/channels/listener.h"
#include "core/channels/pending_channel.h"
#include "core/pages/ram_loader.h"

namespace godwit::binding {
namespace {

constexpr napi_type_tag kChannelTag = {0x6f1c9a5be2734d08, 0x9d47c3b15e80f62a};
constexpr const char* kTargetForm =
    "a target { type: 'tcp', host: string, port: 0 to 65535 }, { type: 'unix', path: string } or { type: 'vsock', cid: "
    "number, port: number }";

std::optional<SocketTarget> to_target(const Napi::Value& value) {
  std::string type;
  if (!value.IsObject()) return std::nullopt;
  const Napi::Object object = value.As<Napi::Object>();
  if (!to_text(object.Get("type"), type)) return std::nullopt;
  if (type == "unix") {
    UnixTarget target;
    if (!to_text(object.Get("path"), target.path)) return std::nullopt;
    return target;
  }
  if (type == "vsock") {
    VsockTarget target;
    if (!to_u32(object.Get("cid"), target.cid) || !to_u32(object.Get("port"), target.port)) return std::nullopt;
    return target;
  }
  TcpTarget target;
  std::uint32_t port = 0;
  if (type != "tcp" || !to_text(object.Get("host"), target.host) || !to_u32(object.Get("port"), port) ||
      port > UINT16_MAX) {
    return std::nullopt;
  }
  target.port = static_cast<std::uint16_t>(port);
  return target;
}

Napi::Value to_js(Napi::Env env, const SocketTarget& target) {
  const Napi::Object object = Napi::Object::New(env);
  if (const TcpTarget* tcp = std::get_if<TcpTarget>(&target)) {
    object.Set("type", "tcp");
    object.Set("host", tcp->host);
    object.Set("port", Napi::Number::New(env, tcp->port));
  } else if (const VsockTarget* vsock = std::get_if<VsockTarget>(&target)) {
    object.Set("type", "vsock");
    object.Set("cid", Napi::Number::New(env, vsock->cid));
    object.Set("port", Napi::Number::New(env, vsock->port));
  } else {
    object.Set("type", "unix");
    object.Set("path", std::get<UnixTarget>(target).path);
  }
  return object;
}

const char* name_of(RamRecordEnd::Kind kind) {
  switch (kind) {
    case RamRecordEnd::Kind::kEos:
      return "eos";
    case RamRecordEnd::Kind::kMemSize:
      return "mem-size";
    case RamRecordEnd::Kind::kMultifdFlush:
      return "multifd-flush";
    case RamRecordEnd::Kind::kHook:
      return "hook";
    case RamRecordEnd::Kind::kCompressedPage:
      return "compressed-page";
  }
  return "";  // not reached: the switch is exhaustive
}

/// Both stay alive as long as the operation that uses them.
Napi::Value both(Napi::Env env, const Napi::Value& first, const Napi::Value& second) {
  const Napi::Array array = Napi::Array::New(env, 2);
  array.Set(0u, first);
  array.Set(1u, second);
  return array;
}

class ChannelBinding : public Napi::ObjectWrap<ChannelBinding> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Channel",
                       {
                           InstanceMethod<&ChannelBinding::enqueue>("enqueue"),
                           InstanceMethod<&ChannelBinding::flush>("flush"),
                           InstanceMethod<&ChannelBinding::peek>("peek"),
                           InstanceMethod<&ChannelBinding::read>("read"),
                           InstanceMethod<&ChannelBinding::at_end>("atEnd"),
                           InstanceMethod<&ChannelBinding::receive>("receive"),
                           InstanceMethod<&ChannelBinding::load_ram>("loadRam"),
                           InstanceMethod<&ChannelBinding::shutdown>("shutdown"),
                           InstanceMethod<&ChannelBinding::close>("close"),
                           InstanceAccessor<&ChannelBinding::bytes_written>("bytesWritten"),
                           InstanceAccessor<&ChannelBinding::bytes_read>("bytesRead"),
                           InstanceAccessor<&ChannelBinding::bytes_queued>("bytesQueued"),
                           InstanceAccessor<&ChannelBinding::writer_thread_id>("writerThreadId"),
                       });
  }

  static Napi::Value wrap(Napi::Env env, std::shared_ptr<Channel>& channel) {
    return Bridge::of(env)->constructor("Channel").New({Napi::External<std::shared_ptr<Channel>>::New(env, &channel)});
  }

  explicit ChannelBinding(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ChannelBinding>(info) {
    if (info.Length() != 1 || !info[0].IsExternal()) {
      throw_form(info.Env(), "no call: channels come from connect(), openStream() and Listener.accept()");
      return;
    }
    channel_ = std::move(*info[0].As<Napi::External<std::shared_ptr<Channel>>>().Data());
    hook_ = Bridge::of(info.Env())->at_exit([channel = channel_] { channel->close(); });
    info.This().As<Napi::Object>().TypeTag(&kChannelTag);
  }

  ~ChannelBinding() override {
    if (channel_) channel_->close();
  }

  const std::shared_ptr<Channel>& core() const { return channel_; }

 private:
  void enqueue(const Napi::CallbackInfo& info) {
    std::span<const std::uint8_t> bytes;
    if (!to_bytes(info[0], bytes)) {
      throw_form(info.Env(), "enqueue(bytes: Uint8Array)");
      return;
    }
    channel_->output().append(bytes);
  }

  Napi::Value flush(const Napi::CallbackInfo& info) {
    const Async<> async = begin_async(info.Env(), info.This());
    channel_->output().flush(async.completion);
    return async.promise;
  }

  Napi::Value peek(const Napi::CallbackInfo& info) {
    std::uint64_t bytes = 0;
    if (!to_size(info[0], bytes)) return throw_form(info.Env(), "peek(n: bytes, at most 65536)");
    const Async<Bytes> async = begin_bytes(info);
    channel_->peek(bytes, async.completion);
    return async.promise;
  }

  Napi::Value read(const Napi::CallbackInfo& info) {
    std::uint64_t bytes = 0;
    if (!to_size(info[0], bytes)) return throw_form(info.Env(), "read(n: bytes, at most 64 MiB)");
    const Async<Bytes> async = begin_bytes(info);
    channel_->read(bytes, async.completion);
    return async.promise;
  }

  Napi::Value at_end(const Napi::CallbackInfo& info) {
    const Async<bool> async = begin_async<bool>(
        info.Env(), info.This(), [](Napi::Env env, bool& end) -> Napi::Value { return Napi::Boolean::New(env, end); });
    channel_->at_end(async.completion);
    return async.promise;
  }

  Napi::Value receive(const Napi::CallbackInfo& info) {
    const Async<Received> async =
        begin_async<Received>(info.Env(), info.This(), [](Napi::Env env, Received& received) -> Napi::Value {
          const Napi::Object object = Napi::Object::New(env);
          object.Set("bytes", to_js_buffer(env, received.bytes));
          const Napi::Array descriptors = Napi::Array::New(env);
          for (UniqueFd& fd : received.descriptors) descriptors.Set(descriptors.Length(), fd.release());
          object.Set("descriptors", descriptors);
          return object;
        });
    channel_->receive(async.completion);
    return async.promise;
  }

  Napi::Value load_ram(const Napi::CallbackInfo& info) {
    const std::shared_ptr<RamLoader> loader = loader_of(info[0]);
    bool bare = false;
    const bool formed = !info[1].IsObject() || optional_property(info[1].As<Napi::Object>(), "bare", bare, to_flag);
    if (!loader || !formed) {
      return throw_form(info.Env(), "loadRam(loader: RamLoader that is not closed, options?: { bare?: boolean })");
    }
    const Async<RamRecordEnd> async = begin_async<RamRecordEnd>(
        info.Env(), both(info.Env(), info.This(), info[0]), [](Napi::Env env, RamRecordEnd& end) -> Napi::Value {
          const Napi::Object object = Napi::Object::New(env);
          object.Set("kind", name_of(end.kind));
          object.Set("value", binding::to_js(env, end.value));
          if (end.kind == RamRecordEnd::Kind::kCompressedPage) {
            object.Set("block", end.block);
            object.Set("length", binding::to_js(env, end.length));
          }
          return object;
        });
    channel_->use_input<RamRecordEnd>(
        "loadRam",
        [loader, source = RamRecordSource{channel_->id(), bare}](InputBuffer& input) {
          return loader->load(input, source);
        },
        async.completion);
    return async.promise;
  }

  void shutdown(const Napi::CallbackInfo&) { channel_->shutdown(); }

  void close(const Napi::CallbackInfo&) {
    channel_->close();
    hook_.reset();
  }

  Napi::Value bytes_written(const Napi::CallbackInfo& info) {
    return binding::to_js(info.Env(), channel_->output().written());
  }
  Napi::Value bytes_read(const Napi::CallbackInfo& info) { return binding::to_js(info.Env(), channel_->bytes_read()); }
  Napi::Value bytes_queued(const Napi::CallbackInfo& info) {
    return binding::to_js(info.Env(), channel_->output().queued());
  }

  Napi::Value writer_thread_id(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), channel_->output().thread_id());
  }

  static Async<Bytes> begin_bytes(const Napi::CallbackInfo& info) {
    return begin_async<Bytes>(info.Env(), info.This(),
                              [](Napi::Env env, Bytes& bytes) -> Napi::Value { return to_js_buffer(env, bytes); });
  }

  std::shared_ptr<Channel> channel_;
  ExitHook hook_;
};

/// Ends with the JavaScript object that holds it, which lives at least as long as the promise is pending.
struct Opening {
  std::shared_ptr<PendingChannel> pending;
  ExitHook hook;

  void release() {
    hook.reset();
    pending.reset();
  }
};

/// Starts `open` on a thread and answers a Cancellable<Channel>.
Napi::Value begin_opening(Napi::Env env, PendingChannel::Open open, PendingChannel::Adopt adopt = Channel::adopt) {
  const Napi::Object cancellable = Napi::Object::New(env);
  auto opening = std::make_shared<Opening>();
  // Its thread and descriptor go as soon as it is done, not when JavaScript's collector comes by.
  const Async<std::shared_ptr<Channel>> async = begin_async<std::shared_ptr<Channel>>(
      env, cancellable, [weak = std::weak_ptr(opening)](Napi::Env env, std::shared_ptr<Channel>& channel) {
        if (const std::shared_ptr<Opening> done = weak.lock()) done->release();
        return ChannelBinding::wrap(env, channel);
      });
  Result<std::shared_ptr<PendingChannel>> started = PendingChannel::start(std::move(open), async.completion, std::move(adopt));
  if (started) {
    opening->pending = *std::move(started);
    opening->hook = Bridge::of(env)->at_exit([pending = opening->pending] { pending->stop(); });
  } else {
    async.completion(std::move(started).failure());
  }
  cancellable.Set("promise", async.promise);
  cancellable.Set("cancel", Napi::Function::New(
                                env,
                                [opening](const Napi::CallbackInfo&) {
                                  if (opening->pending) opening->pending->cancel();
                                },
                                "cancel"));
  return cancellable;
}

class ListenerBinding : public Napi::ObjectWrap<ListenerBinding> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Listener",
                       {
                           InstanceMethod<&ListenerBinding::accept>("accept"),
                           InstanceMethod<&ListenerBinding::close>("close"),
                           InstanceAccessor<&ListenerBinding::address>("address"),
                       });
  }

  explicit ListenerBinding(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ListenerBinding>(info) {
    const std::optional<SocketTarget> target = to_target(info[0]);
    if (!target) {
      throw_form(info.Env(), kTargetForm);
      return;
    }
    Result<std::shared_ptr<Listener>> listener = Listener::open(*target);
    if (!listener) {
      throw_failure(info.Env(), listener.failure());
      return;
    }
    listener_ = *std::move(listener);
    hook_ = Bridge::of(info.Env())->at_exit([held = listener_] { held->close(); });
  }

  ~ListenerBinding() override {
    if (listener_) listener_->close();
  }

 private:
  Napi::Value accept(const Napi::CallbackInfo& info) {
    bool rights = false;
    if (info[0].IsObject() && !optional_property(info[0].As<Napi::Object>(), "descriptors", rights, to_flag)) {
      return throw_form(info.Env(), "accept(options?: { descriptors?: boolean })");
    }
    return begin_opening(
        info.Env(), [listener = listener_](const Interrupt& cancel) { return listener->accept(cancel); },
        rights ? Channel::adopt_with_rights : Channel::adopt);
  }

  void close(const Napi::CallbackInfo&) {
    listener_->close();
    hook_.reset();
  }

  Napi::Value address(const Napi::CallbackInfo& info) { return to_js(info.Env(), listener_->address()); }

  std::shared_ptr<Listener> listener_;
  ExitHook hook_;
};

Napi::Value connect(const Napi::CallbackInfo& info) {
  const std::optional<SocketTarget> target = to_target(info[0]);
  if (!target) return throw_form(info.Env(), kTargetForm);
  return begin_opening(info.Env(),
                       [target = *target](const Interrupt& cancel) { return connect_socket(target, cancel); });
}

/// A channel on a descriptor. Opening it does not block: the descriptor is open already.
Napi::Value open_stream(const Napi::CallbackInfo& info) {
  std::uint32_t fd = 0;
  std::uint64_t offset = 0;
  const bool has_offset = info.Length() > 1 && !info[1].IsUndefined();
  if (!to_u32(info[0], fd) || fd > INT32_MAX || (has_offset && !to_size(info[1], offset))) {
    return throw_form(info.Env(), "openStream(fd: descriptor, offset?: bytes)");
  }
  Result<std::shared_ptr<Channel>> channel = Channel::on_descriptor(static_cast<int>(fd), offset);
  if (!channel) return throw_failure(info.Env(), channel.failure());
  return ChannelBinding::wrap(info.Env(), *channel);
}

/// Both ends of a pipe, close-on-exec: the caller closes them.
Napi::Value make_pipe(const Napi::CallbackInfo& info) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return throw_failure(info.Env(), Failure::from_errno("pipe2", "Unable to make a pipe"));
  const Napi::Object object = Napi::Object::New(info.Env());
  object.Set("readEnd", Napi::Number::New(info.Env(), ends[0]));
  object.Set("writeEnd", Napi::Number::New(info.Env(), ends[1]));
  return object;
}

}  // namespace

std::shared_ptr<Channel> channel_of(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kChannelTag)) return nullptr;
  return ChannelBinding::Unwrap(value.As<Napi::Object>())->core();
}

void init_channel(Napi::Env env, Napi::Object exports) {
  Bridge::of(env)->set_constructor("Channel", ChannelBinding::define(env));
  exports.Set("Listener", ListenerBinding::define(env));
  exports.Set("connect", Napi::Function::New(env, connect, "connect"));
  exports.Set("openStream", Napi::Function::New(env, open_stream, "openStream"));
  exports.Set("pipe", Napi::Function::New(env, make_pipe, "pipe"));
}

}  // namespace godwit::binding
