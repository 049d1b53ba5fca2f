using System.Diagnostics;
using System.Globalization;
using System.Threading.Channels;

namespace Cluster.Grpc.Tests;

/// <summary>Any server of <c>echo.proto</c>.</summary>
public interface IEchoServer
{
    Uri Address { get; }

    /// <summary>A handler that was asked to wait has begun.</summary>
    Task HandlerWaitsAsync(CancellationToken cancellationToken);

    /// <summary>A handler that waited has seen its cancellation.</summary>
    Task HandlerWasCancelledAsync(CancellationToken cancellationToken);
}

public sealed class PolyfillEchoServer : IEchoServer, IAsyncLifetime
{
    private EchoServer server = null!;

    public Uri Address => server.Address;

    public Task HandlerWaitsAsync(CancellationToken cancellationToken) => server.Record.HandlerWaitsAsync(cancellationToken);

    public Task HandlerWasCancelledAsync(CancellationToken cancellationToken) => server.Record.HandlerWasCancelledAsync(cancellationToken);

    public async ValueTask InitializeAsync() => server = await EchoServer.StartAsync();

    public ValueTask DisposeAsync() => server.DisposeAsync();
}

public sealed class NodeEchoServer() : StrangersEchoServer(() => Strangers.NodeAsync("server.js"));

public sealed class PythonEchoServer() : StrangersEchoServer(() => Strangers.PythonAsync("server.py"));

/// <summary>A server in a process of its own; its standard output says its port, and then what its handlers see.</summary>
public abstract class StrangersEchoServer(Func<Task<ProcessStartInfo>> start) : IEchoServer, IAsyncLifetime
{
    private readonly Channel<string> waiting = Channel.CreateUnbounded<string>();
    private readonly Channel<string> cancelled = Channel.CreateUnbounded<string>();
    private Process process = null!;
    private Task events = Task.CompletedTask;

    public Uri Address { get; private set; } = null!;

    public async Task HandlerWaitsAsync(CancellationToken cancellationToken) => await waiting.Reader.ReadAsync(cancellationToken);

    public async Task HandlerWasCancelledAsync(CancellationToken cancellationToken) => await cancelled.Reader.ReadAsync(cancellationToken);

    public async ValueTask InitializeAsync()
    {
        var info = await start();
        info.RedirectStandardInput = info.RedirectStandardOutput = true;
        process = Process.Start(info)!;
        var port = int.Parse((await process.StandardOutput.ReadLineAsync())!, CultureInfo.InvariantCulture);
        Address = new Uri($"http://127.0.0.1:{port}");
        events = ReadEventsAsync();
    }

    public async ValueTask DisposeAsync()
    {
        process.Kill(entireProcessTree: true);
        await events;
        await process.WaitForExitAsync();
        process.Dispose();
        GC.SuppressFinalize(this);
    }

    private async Task ReadEventsAsync()
    {
        while (await process.StandardOutput.ReadLineAsync() is { } line)
            await (line == "waiting" ? waiting : cancelled).Writer.WriteAsync(line);
    }
}
