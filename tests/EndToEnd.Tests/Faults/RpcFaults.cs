using System.Collections.Concurrent;
using System.Net;
using Cluster.Contracts.V1;
using Google.Protobuf.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ServiceDescriptor = Google.Protobuf.Reflection.ServiceDescriptor;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>What befalls a call on its way.</summary>
public enum RpcFault
{
    /// <summary>The callee never hears of it, and the caller is told that nobody is there.</summary>
    BeforeDelivery,

    /// <summary>It is done, and the caller is told that nobody is there.</summary>
    AfterDelivery,

    /// <summary>It arrives late, and so does its answer.</summary>
    Delayed,

    /// <summary>The caller is told that nobody is there, calls again, and is answered; then the first call arrives.</summary>
    DeliveredTwice,
}

/// <summary>
/// Stands before a gRPC server, passes calls on, and lets a fault befall the first call of each method since it was told to.
/// </summary>
internal sealed class RpcFaults : IAsyncDisposable
{
    // Longer than a heartbeat's interval, and shorter than any call's deadline.
    private static readonly TimeSpan Delay = TimeSpan.FromSeconds(3);

    private readonly ConcurrentDictionary<string, MethodDescriptor> _methods;
    private readonly ConcurrentBag<Task> _late = [];
    private readonly CancellationTokenSource _end = new();
    private readonly HttpMessageInvoker _onward = new(new SocketsHttpHandler
    {
        UseProxy = false,
        EnableMultipleHttp2Connections = true,
        ActivityHeadersPropagator = null,
    });
    private readonly WebApplication _app;
    private volatile Faults? _faults;

    private RpcFaults(WebApplication app, IEnumerable<ServiceDescriptor> services)
    {
        _app = app;
        _methods = new(services.SelectMany(service => service.Methods).ToDictionary(PathOf));
    }

    /// <summary>All services but the one that trainers reach by a socket of their node, which no network is in the way of.</summary>
    public static IReadOnlyList<ServiceDescriptor> Services { get; } = [.. typeof(JobService).Assembly.GetTypes()
        .Where(type => type.Name.EndsWith("Reflection", StringComparison.Ordinal))
        .Select(type => type.GetProperty("Descriptor")?.GetValue(null)).OfType<FileDescriptor>().SelectMany(file => file.Services)
        .Where(service => service.Name != nameof(LocalAgentService))];

    public string Address => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();

    public int Port => new Uri(Address).Port;

    /// <summary>"http://host:port" of the server.</summary>
    public string Target { get; set; } = "";

    public static async Task<RpcFaults> StartAsync(CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Limits.MinResponseDataRate = null;
        });
        var app = builder.Build();
        var faults = new RpcFaults(app, Services);
        app.Run(faults.HandleAsync);
        await app.StartAsync(cancellationToken);
        return faults;
    }

    /// <summary>From now on the fault befalls the first call of each method that is given.</summary>
    public void Arm(RpcFault fault, IReadOnlySet<string> methods) => _faults = new Faults(fault, methods);

    /// <summary>The methods whose call the fault has befallen.</summary>
    public IReadOnlyCollection<string> Struck => [.. _faults?.Struck.Keys ?? []];

    /// <summary>"/cluster.v1.JobService/SubmitJob".</summary>
    public static string PathOf(MethodDescriptor method) => $"/{method.Service.FullName}/{method.Name}";

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _app.DisposeAsync();
        await Task.WhenAll(_late);
        _onward.Dispose();
        _end.Dispose();
    }

    private async Task HandleAsync(HttpContext context)
    {
        var ends = context.RequestAborted;
        try
        {
            if (_faults is not { } faults || !_methods.TryGetValue(context.Request.Path, out var method) || !faults.Befalls(PathOf(method)))
            {
                await PassOnAsync(context, context.Request.Body, ends);
                return;
            }

            switch (faults.Fault)
            {
                case RpcFault.BeforeDelivery:
                    NobodyIsThere(context);
                    break;
                case RpcFault.AfterDelivery:
                    using (var response = await SendAsync(context.Request, context.Request.Body, ends))
                        await ReadAsync(response, method, ends);
                    NobodyIsThere(context);
                    break;
                case RpcFault.Delayed:
                    await Task.Delay(Delay, ends);
                    await PassOnAsync(context, context.Request.Body, ends);
                    break;
                case RpcFault.DeliveredTwice:
                    var request = await ReadAsync(context, ends);
                    _late.Add(DeliverLateAsync(request, method));
                    NobodyIsThere(context);
                    break;
            }
        }
        catch (Exception e) when (e is OperationCanceledException or HttpRequestException or IOException)
        {
            // One side has gone, which the other is to see.
            if (context.Response.HasStarted)
                context.Abort();
            else
                NobodyIsThere(context);
        }
    }

    private async Task PassOnAsync(HttpContext context, Stream body, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(context.Request, body, cancellationToken);
        Copy(response.Headers, context.Response.Headers);
        Copy(response.Content.Headers, context.Response.Headers);
        // A call that streams tells by its headers that it was heard.
        await context.Response.Body.FlushAsync(cancellationToken);
        await using var answer = await response.Content.ReadAsStreamAsync(cancellationToken);
        var buffer = new byte[64 << 10];
        while (await answer.ReadAsync(buffer, cancellationToken) is > 0 and var read)
        {
            await context.Response.Body.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
            await context.Response.Body.FlushAsync(cancellationToken);
        }

        foreach (var (name, values) in response.TrailingHeaders)
            context.Response.AppendTrailer(name, values.ToArray());
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequest request, Stream body, CancellationToken cancellationToken)
    {
        var onward = new HttpRequestMessage(HttpMethod.Post, Target + request.Path)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new StreamContent(body),
        };
        foreach (var (name, values) in request.Headers.Where(header => !header.Key.StartsWith(':') && header.Key != "Host"))
        {
            if (!onward.Headers.TryAddWithoutValidation(name, values.ToArray()))
                onward.Content.Headers.TryAddWithoutValidation(name, values.ToArray());
        }

        return await _onward.SendAsync(onward, cancellationToken);
    }

    /// <summary>Returns when the call is over, or has answered for the first time where it streams.</summary>
    private static async Task ReadAsync(HttpResponseMessage response, MethodDescriptor method, CancellationToken cancellationToken)
    {
        await using var answer = await response.Content.ReadAsStreamAsync(cancellationToken);
        var buffer = new byte[64 << 10];
        while (await answer.ReadAsync(buffer, cancellationToken) > 0 && !method.IsServerStreaming)
        {
        }
    }

    /// <summary>All of a request that a caller has made, for when it has gone.</summary>
    private static async Task<LateRequest> ReadAsync(HttpContext context, CancellationToken cancellationToken)
    {
        var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, cancellationToken);
        body.Position = 0;
        var request = new DefaultHttpContext().Request;
        request.Path = context.Request.Path;
        foreach (var header in context.Request.Headers)
            request.Headers[header.Key] = header.Value;
        return new LateRequest(request, body);
    }

    private async Task DeliverLateAsync(LateRequest late, MethodDescriptor method)
    {
        try
        {
            await Task.Delay(Delay, _end.Token);
            using var response = await SendAsync(late.Request, late.Body, _end.Token);
            await ReadAsync(response, method, _end.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or HttpRequestException or IOException)
        {
            // Nobody waits for it.
        }
    }

    private static void NobodyIsThere(HttpContext context)
    {
        const string unavailable = "14";
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = unavailable;
        context.Response.Headers["grpc-message"] = "the connection broke";
    }

    private static void Copy(IEnumerable<KeyValuePair<string, IEnumerable<string>>> from, IHeaderDictionary to)
    {
        foreach (var (name, values) in from)
            to[name] = values.ToArray();
    }

    private sealed record LateRequest(HttpRequest Request, Stream Body);

    private sealed class Faults(RpcFault fault, IReadOnlySet<string> methods)
    {
        public RpcFault Fault => fault;

        public ConcurrentDictionary<string, bool> Struck { get; } = new();

        public bool Befalls(string method) => methods.Contains(method) && Struck.TryAdd(method, true);
    }
}
