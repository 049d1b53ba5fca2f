using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Cluster.Grpc.Tests;

/// <summary>The foreign gRPC implementations: node with <c>@grpc/grpc-js</c>, Debian's python with <c>grpcio</c>.</summary>
internal static class Strangers
{
    private static readonly SemaphoreSlim Preparing = new(1, 1);
    private static string? pythonStubs;

    private static string Here { get; } = FindHere();

    private static string PolyfillProtos => Path.Combine(Here, "..", "..", "polyfills", "Grpc", "AspNetCore", "Protos");

    public static async Task<ProcessStartInfo> NodeAsync(string script, params string[] arguments)
    {
        var folder = Path.Combine(Here, "node");
        await Preparing.WaitAsync();
        try
        {
            if (!Directory.Exists(Path.Combine(folder, "node_modules", "@grpc", "grpc-js")))
                await RunAsync(new ProcessStartInfo("npm", ["ci", "--silent"]) { WorkingDirectory = folder });
        }
        finally
        {
            Preparing.Release();
        }
        return new ProcessStartInfo("node", [script, .. arguments, PolyfillProtos]) { WorkingDirectory = folder };
    }

    public static async Task<ProcessStartInfo> PythonAsync(string script, params string[] arguments)
    {
        await Preparing.WaitAsync();
        try
        {
            pythonStubs ??= await GenerateStubsAsync();
        }
        finally
        {
            Preparing.Release();
        }
        return new ProcessStartInfo("/usr/bin/python3", [script, .. arguments, pythonStubs]) { WorkingDirectory = Path.Combine(Here, "python") };
    }

    /// <summary>Runs to the end and returns what was printed.</summary>
    public static async Task<string> RunAsync(ProcessStartInfo start)
    {
        start.RedirectStandardOutput = start.RedirectStandardError = true;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        process.ExitCode.ShouldBe(0, $"{start.FileName} {string.Join(' ', start.ArgumentList)}: {errors}");
        return await output;
    }

    /// <summary>Each proto is named by its last folder, because a python package "grpc" would hide the library.</summary>
    private static async Task<string> GenerateStubsAsync()
    {
        var target = Directory.CreateTempSubdirectory("grpc-stubs-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(target, recursive: true);
        await RunAsync(new ProcessStartInfo("/usr/bin/python3",
        [
            "-m", "grpc_tools.protoc", $"--python_out={target}", $"--grpc_python_out={target}",
            "-I", Path.Combine(Here, "Protos"),
            "-I", Path.Combine(PolyfillProtos, "grpc", "health", "v1"),
            "-I", Path.Combine(PolyfillProtos, "grpc", "reflection", "v1alpha"),
            "options.proto", "echo.proto", "health.proto", "reflection.proto",
        ]));
        return target;
    }

    private static string FindHere([CallerFilePath] string here = "") => Path.GetDirectoryName(here)!;
}
