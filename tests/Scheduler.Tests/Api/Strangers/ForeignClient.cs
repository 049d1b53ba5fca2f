using System.Diagnostics;
using System.Runtime.CompilerServices;
using Cluster.Scheduler.Tests.Fixtures;

namespace Cluster.Scheduler.Tests.Api.Strangers;

/// <summary>
/// A foreign implementation of gRPC: one client for the tests of a class, and further ones for tests that leave a call open.
/// </summary>
public abstract class ForeignClient(StrangersScheduler scheduler) : IAsyncLifetime
{
    private protected const string GrpcProtos = "/usr/share/grpc-proto/grpc";
    private ProcessStartInfo _start = null!;

    public Stranger Client { get; private set; } = null!;

    private protected static string Here { get; } = FindHere();

    private protected static string ClusterProtos => Path.GetFullPath(Path.Combine(Here, "../../../../shared/Contracts/Protos"));

    public Stranger Start() => new(_start);

    public async ValueTask InitializeAsync()
    {
        _start = await PrepareAsync(scheduler.Scheduler.Channel.Target);
        Client = Start();
    }

    public virtual async ValueTask DisposeAsync()
    {
        if (Client is not null)
            await Client.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>Installs or builds what the client needs.</summary>
    private protected abstract Task<ProcessStartInfo> PrepareAsync(string address);

    private protected static async Task RunAsync(string program, string folder, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var errors = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        process.ExitCode.ShouldBe(0, $"{program} {string.Join(' ', arguments)}: {errors}");
    }

    private static string FindHere([CallerFilePath] string here = "") => Path.GetDirectoryName(here)!;
}

/// <summary>node with <c>@grpc/grpc-js</c>.</summary>
public sealed class NodeClient(StrangersScheduler scheduler) : ForeignClient(scheduler)
{
    private protected override async Task<ProcessStartInfo> PrepareAsync(string address)
    {
        var folder = Path.Combine(Here, "node");
        // npm writes this file last.
        var installed = new FileInfo(Path.Combine(folder, "node_modules", ".package-lock.json"));
        if (!installed.Exists || installed.LastWriteTimeUtc < File.GetLastWriteTimeUtc(Path.Combine(folder, "package-lock.json")))
            await RunAsync("npm", folder, "ci");
        return new ProcessStartInfo("node", ["client.js", address, ClusterProtos, GrpcProtos]) { WorkingDirectory = folder };
    }
}

/// <summary>Debian's python with its <c>grpcio</c>.</summary>
public sealed class PythonClient(StrangersScheduler scheduler) : ForeignClient(scheduler)
{
    private readonly string _messages = Directory.CreateTempSubdirectory("strangers-messages-").FullName;

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(_messages, recursive: true);
    }

    private protected override async Task<ProcessStartInfo> PrepareAsync(string address)
    {
        var cluster = Directory.EnumerateFiles(ClusterProtos, "*.proto", SearchOption.AllDirectories);
        // Named from the folder grpc on: a python package of that name would hide the library.
        await RunAsync("protoc", GrpcProtos,
        [
            "-I", ".", "-I", ClusterProtos, $"--python_out={_messages}", .. cluster,
            "health/v1/health.proto", "reflection/v1/reflection.proto", "reflection/v1alpha/reflection.proto",
        ]);
        var folder = Path.Combine(Here, "python");
        return new ProcessStartInfo("/usr/bin/python3", ["client.py", address, _messages]) { WorkingDirectory = folder };
    }
}
